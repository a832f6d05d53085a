package io.kehu.customer.tag;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Event;
import io.kehu.bus.Ids;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.bus.Reply;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Past;
import io.kehu.sql.Tx;
import io.vertx.core.Future;
import java.util.List;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** The rules of which tags there are, and whose. */
final class TagService {
    static final String READ = "tag:read";

    private final Database database;
    private final TagStore store;
    private final UnaryOperator<byte[]> mac;

    TagService(Database database, TagStore store, UnaryOperator<byte[]> mac) {
        this.database = database;
        this.store = store;
        this.mac = mac;
    }

    /** All categories in the order of the tree. Problems: request.cursorInvalid. */
    Future<Reply> categories(Call call) {
        Page page = Page.of(call, mac);
        return store.categories(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getString("tree")),
                        (json, row) -> TagCategory.from(row).toJson(json))));
    }

    /** Problems: tag.categoryNotFound. */
    Future<Reply> category(Call call) {
        return store.category(call, call.id("categoryId"))
                .map(category -> Reply.ok(category::toJson).etag(category.version()));
    }

    /** Problems: tag.codeTaken, tag.categoryUnknown, tag.tooDeep. */
    Future<Reply> createCategory(Call call) {
        ObjectNode body = call.json();
        String code = body.required("code").textValue();
        UUID parentId =
                body.has("parentId") ? UUID.fromString(body.get("parentId").textValue()) : null;
        return database.write(
                call,
                tx -> (parentId == null
                                ? Future.<@Nullable TagCategory>succeededFuture(null)
                                : store.heldCategory(tx, parentId, "tag.categoryUnknown"))
                        .compose(parent -> store.insertCategory(
                                tx,
                                new TagCategory(
                                        Ids.next(),
                                        parentId,
                                        code,
                                        body.required("nameEn").textValue().strip(),
                                        body.required("nameZh").textValue().strip(),
                                        (parent == null ? "" : parent.tree()) + code + '!',
                                        parent == null ? 0 : parent.depth() + 1,
                                        1,
                                        tx.now())))
                        .map(category -> {
                            tx.event(event("tag.categoryCreated", category.id(), category.version()));
                            return Reply.created("/v1/tag-categories/" + category.id(), category::toJson)
                                    .etag(category.version());
                        }));
    }

    /** Problems: tag.categoryNotFound, request.stale. */
    Future<Reply> changeCategory(Call call) {
        ObjectNode patch = call.json();
        return database.write(
                call,
                tx -> store.heldCategory(tx, call.id("categoryId"), "tag.categoryNotFound")
                        .compose(
                                before -> Past.mustMatch(call, before.version()).map(before))
                        .compose(before -> store.renameCategory(
                                tx,
                                before.id(),
                                patch.path("nameEn").asText(before.nameEn()).strip(),
                                patch.path("nameZh").asText(before.nameZh()).strip()))
                        .map(category -> {
                            tx.event(event("tag.categoryChanged", category.id(), category.version()));
                            return Reply.ok(category::toJson).etag(category.version());
                        }));
    }

    /** The tags that the caller's branch knows. Problems: request.cursorInvalid. */
    Future<Reply> list(Call call) {
        Page page = Page.of(call, mac);
        return store.list(call, page)
                .map(rows -> Reply.ok(page.write(
                        rows,
                        row -> List.of(row.getString("code")),
                        (json, row) -> Tag.from(row).toJson(json))));
    }

    /** Problems: tag.notFound, request.asOfTooLate. */
    Future<Reply> get(Call call) {
        return Past.instant(call, database)
                .compose(asOf -> store.find(call, call.id("tagId"), asOf))
                .map(tag -> Reply.ok(tag::toJson).etag(tag.version()));
    }

    /** Problems: tag.codeTaken, tag.categoryUnknown, tag.branchUnknown, tag.periodInvalid. */
    Future<Reply> create(Call call) {
        Tag draft = Tag.draft(Ids.next(), call.json());
        return database.write(
                call,
                tx -> (isHis(tx.principal(), draft.branchId())
                                ? store.mustBeOpen(tx, draft.branchId())
                                : Future.<Void>failedFuture(Problem.of("tag.branchUnknown")))
                        .compose(v -> store.insert(tx, draft))
                        .map(tag -> {
                            tx.event(event("tag.created", tag));
                            return Reply.created("/v1/tags/" + tag.id(), tag::toJson)
                                    .etag(tag.version());
                        }));
    }

    /** Problems: tag.notFound, tag.ownerElsewhere, request.stale, tag.periodInvalid. */
    Future<Reply> change(Call call) {
        return database.write(
                call,
                tx -> store.held(tx, call.id("tagId"), "FOR UPDATE")
                        .compose(before -> apply(tx, before))
                        .map(tag -> {
                            tx.event(event("tag.changed", tag));
                            return Reply.ok(tag::toJson).etag(tag.version());
                        }));
    }

    private Future<Tag> apply(Tx tx, Tag before) {
        return isHis(tx.principal(), before.branchId())
                ? Past.mustMatch(tx.call(), before.version())
                        .compose(v -> store.update(tx, before.patched(tx.call().json())))
                : Future.failedFuture(Problem.of("tag.ownerElsewhere"));
    }

    /** Tags of the whole bank are for those who see all of it; others make them for what they see. */
    private static boolean isHis(Principal who, @Nullable UUID branch) {
        return switch (who.scope()) {
            case ALL -> true;
            case BRANCH -> branch != null && who.branchIds().contains(branch);
            case OWN, NONE -> false;
        };
    }

    private static Event event(String type, Tag tag) {
        return event(type, tag.id(), tag.version()).within(tag.branchId(), null).with("code", tag.code());
    }

    private static Event event(String type, UUID id, long version) {
        return Event.of(type, id, version, READ);
    }
}
