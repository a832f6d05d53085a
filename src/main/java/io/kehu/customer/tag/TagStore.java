package io.kehu.customer.tag;

import io.kehu.bus.Call;
import io.kehu.bus.Principal;
import io.kehu.sql.Database;
import io.kehu.sql.Page;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import io.vertx.sqlclient.Tuple;
import java.time.OffsetDateTime;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** SQL of tags and their tree. */
final class TagStore {
    private static final String CATEGORY =
            "SELECT id, parent_id, code, name_en, name_zh, tree, depth, version, valid_from FROM customer.tag_category ";
    private static final String CATEGORY_COLUMNS = CATEGORY.substring(7, CATEGORY.indexOf(" FROM"));
    private static final String INSERT_CATEGORY = """
            INSERT INTO customer.tag_category (id, parent_id, code, name_en, name_zh, tree, depth)
            VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING\s""" + CATEGORY_COLUMNS;
    private static final String RENAME_CATEGORY =
            "UPDATE customer.tag_category SET name_en = $2, name_zh = $3 WHERE id = $1 RETURNING " + CATEGORY_COLUMNS;

    private static final String COLUMNS = """
            t.id, t.category_id, t.code, t.name_en, t.name_zh, t.made_by, t.exclusive_group, t.default_days, t.usable_from,
            t.usable_until, t.branch_id, t.version, t.valid_from""";
    private static final String READ = "SELECT " + COLUMNS + " FROM customer.tag t ";
    private static final String READ_PAST = "SELECT " + COLUMNS + " FROM customer.tag_all t ";
    private static final String INSERT = """
            INSERT INTO customer.tag AS t (id, category_id, code, name_en, name_zh, made_by, exclusive_group, default_days,
                usable_from, usable_until, branch_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING\s""" + COLUMNS;
    private static final String UPDATE = """
            UPDATE customer.tag t SET name_en = $2, name_zh = $3, default_days = $4, usable_from = $5, usable_until = $6
            WHERE t.id = $1 RETURNING\s""" + COLUMNS;
    private static final String OPEN_BRANCH = "SELECT id FROM iam.open_branch WHERE id = $1 FOR SHARE";

    private final Database database;

    TagStore(Database database) {
        this.database = database;
    }

    Future<RowSet<Row>> categories(Call call, Page page) {
        Where where = Where.ofAll();
        if (!page.after().isEmpty()) {
            where.and("tree > ?", page.after().get(0));
        }
        return database.query(
                call, CATEGORY + where.sql() + " ORDER BY tree LIMIT " + where.bind(page.fetch()), where.values());
    }

    Future<TagCategory> category(Call call, UUID id) {
        return database.row(call, CATEGORY + "WHERE id = $1", Tuple.of(id), "tag.categoryNotFound")
                .map(TagCategory::from);
    }

    Future<TagCategory> heldCategory(Tx tx, UUID id, String problemCode) {
        return tx.row(CATEGORY + "WHERE id = $1 FOR UPDATE", Tuple.of(id), problemCode)
                .map(TagCategory::from);
    }

    Future<TagCategory> insertCategory(Tx tx, TagCategory category) {
        return tx.row(
                        INSERT_CATEGORY,
                        Tuple.of(
                                category.id(),
                                category.parentId(),
                                category.code(),
                                category.nameEn(),
                                category.nameZh(),
                                category.tree(),
                                category.depth()),
                        "server.failure")
                .map(TagCategory::from);
    }

    Future<TagCategory> renameCategory(Tx tx, UUID id, String nameEn, String nameZh) {
        return tx.row(RENAME_CATEGORY, Tuple.of(id, nameEn, nameZh), "tag.categoryNotFound")
                .map(TagCategory::from);
    }

    Future<RowSet<Row>> list(Call call, Page page) {
        Where where = seenBy(call.principal())
                .andIf(
                        "t.category_id IN (SELECT b.id FROM customer.tag_category a"
                                + " JOIN customer.tag_category b ON b.tree ^@ a.tree WHERE a.id = ?)",
                        call.optionalId("categoryId"))
                .andIf("t.made_by = ?", call.text("madeBy"))
                .andIf(
                        "((t.usable_from IS NULL OR t.usable_from <= kehu.now())"
                                + " AND (t.usable_until IS NULL OR t.usable_until > kehu.now())) = ?",
                        call.params().has("usable")
                                ? call.params().get("usable").booleanValue()
                                : null);
        if (!page.after().isEmpty()) {
            where.and("t.code > ?", page.after().get(0));
        }
        return database.query(
                call, READ + where.sql() + " ORDER BY t.code LIMIT " + where.bind(page.fetch()), where.values());
    }

    /** Fails with {@code tag.notFound}, also where the caller's branch does not know it. */
    Future<Tag> find(Call call, UUID id, @Nullable OffsetDateTime asOf) {
        Where where = seenBy(call.principal()).and("t.id = ?", id);
        if (asOf != null) {
            where.and("t.valid_from <= ?", asOf).and("t.valid_to > ?", asOf);
        }
        return database.row(call, (asOf == null ? READ : READ_PAST) + where.sql(), where.values(), "tag.notFound")
                .map(Tag::from);
    }

    /** The same within a transaction. */
    Future<Tag> held(Tx tx, UUID id, String lock) {
        Where where = seenBy(tx.principal()).and("t.id = ?", id);
        return tx.row(READ + where.sql() + ' ' + lock, where.values(), "tag.notFound")
                .map(Tag::from);
    }

    Future<Tag> insert(Tx tx, Tag tag) {
        Tuple values = Tuple.of(tag.id(), tag.categoryId(), tag.code(), tag.nameEn(), tag.nameZh(), tag.madeBy());
        values.addString(tag.group()).addInteger(tag.defaultDays());
        values.addOffsetDateTime(tag.usableFrom()).addOffsetDateTime(tag.usableUntil());
        return tx.row(INSERT, values.addUUID(tag.branchId()), "server.failure").map(Tag::from);
    }

    Future<Tag> update(Tx tx, Tag tag) {
        return tx.row(
                        UPDATE,
                        Tuple.of(
                                tag.id(),
                                tag.nameEn(),
                                tag.nameZh(),
                                tag.defaultDays(),
                                tag.usableFrom(),
                                tag.usableUntil()),
                        "tag.notFound")
                .map(Tag::from);
    }

    /** Fails with {@code tag.branchUnknown}; the whole bank is always open. */
    Future<Void> mustBeOpen(Tx tx, @Nullable UUID branch) {
        return branch == null
                ? Future.succeededFuture()
                : tx.row(OPEN_BRANCH, Tuple.of(branch), "tag.branchUnknown").mapEmpty();
    }

    /** Tags of the whole bank, of a branch that the caller's own is or lies below, and of those he sees. */
    private static Where seenBy(Principal who) {
        return who.scope() == Principal.Scope.ALL
                ? Where.ofAll()
                : Where.ofAll()
                        .and(
                                "(t.branch_id IS NULL OR iam.is_within(?, t.branch_id) OR t.branch_id = ANY (?))",
                                who.branchId(),
                                who.branchIds().toArray(UUID[]::new));
    }
}
