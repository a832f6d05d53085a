package io.kehu.iam.branch;

import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.util.List;
import java.util.Objects;
import java.util.function.UnaryOperator;

/** The rules of the branch tree. */
final class BranchService {
    private static final String READ = "branch:read";

    private final Database database;
    private final BranchStore store;
    private final UnaryOperator<byte[]> mac;

    BranchService(Database database, BranchStore store, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.mac = mac;
    }

    /** All branches in the order of the tree, or the children of one. Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getString("tree")),
                        (json, row) -> Branch.from(row).toJson(json))));
    }

    /** One branch, now or as of an instant. Problems: branch.notFound, request.asOfTooLate. */
    Future<Reply> get(Call call) {
        return Past.instant(call, database)
                .compose(asOf -> store.find(call, call.id("branchId"), asOf))
                .map(found -> found.beside(
                        Reply.ok(found.value()::toJson), found.value().version()));
    }

    /** Opens a branch below another. Problems: branch.parentUnknown, branch.parentClosed, branch.codeTaken, branch.tooDeep. */
    Future<Reply> create(Call call) {
        Branch draft = Branch.draft(Ids.next(), call.json());
        return database.write(
                call,
                tx -> store.lockTree(tx)
                        .compose(v -> store.locked(tx, draft.parentId(), "branch.parentUnknown"))
                        .compose(BranchService::mustBeOpen)
                        .compose(parent -> store.insert(tx, draft.below(parent)))
                        .map(branch -> {
                            tx.event(Event.of("branch.created", branch.id(), branch.version(), READ));
                            return Reply.created("/v1/branches/" + branch.id(), branch::toJson)
                                    .etag(branch.version());
                        }));
    }

    /**
     * Renames, closes, reopens or moves. Problems: branch.notFound, request.stale, branch.parentUnknown,
     * branch.parentClosed, branch.cycle, branch.isHead, branch.tooDeep, branch.hasOpenChildren.
     */
    Future<Reply> change(Call call) {
        return database.write(
                call,
                tx -> store.lockTree(tx)
                        .compose(v -> store.locked(tx, call.id("branchId"), "branch.notFound"))
                        .compose(
                                before -> Past.mustMatch(call, before.version()).compose(v -> apply(tx, before)))
                        .map(branch -> {
                            tx.event(Event.of("branch.changed", branch.id(), branch.version(), READ));
                            return Reply.ok(branch::toJson).etag(branch.version());
                        }));
    }

    private Future<Branch> apply(Tx tx, Branch before) {
        Branch after = before.patched(tx.call().json());
        Future<Branch> placed = Objects.equals(after.parentId(), before.parentId())
                ? Future.succeededFuture(after)
                : move(tx, before, after);
        boolean closes = after.state().equals("closed") && before.state().equals("open");
        return placed.compose(branch -> (closes ? store.mustHaveNoOpenChildren(tx, before) : Future.succeededFuture())
                .compose(v -> store.update(tx, branch)));
    }

    private Future<Branch> move(Tx tx, Branch before, Branch after) {
        if (before.parentId() == null) {
            return Future.failedFuture(Problem.of("branch.isHead"));
        }
        return store.locked(tx, after.parentId(), "branch.parentUnknown")
                .compose(BranchService::mustBeOpen)
                .compose(parent -> {
                    if (before.isAbove(parent)) {
                        return Future.failedFuture(Problem.of("branch.cycle"));
                    }
                    Branch moved = after.below(parent);
                    return store.moveBelow(tx, before, moved)
                            .compose(v -> store.forgetScopes(tx))
                            .map(moved);
                });
    }

    private static Future<Branch> mustBeOpen(Branch branch) {
        return branch.state().equals("open")
                ? Future.succeededFuture(branch)
                : Future.failedFuture(Problem.of("branch.parentClosed"));
    }
}
