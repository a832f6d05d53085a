package io.kehu.ops.parameter;

import io.kehu.bus.Call;
import io.kehu.sql.Database;
import io.kehu.sql.FourEyes;
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

/** SQL of parameters. */
final class ParameterStore {
    private static final String COLUMNS =
            "id, name, kind, value, unit, least, most, about_en, about_zh, version, valid_from";
    private static final String FIND = "SELECT " + COLUMNS + " FROM ops.parameter WHERE name = $1";
    private static final String FIND_WITH_PENDING =
            "SELECT " + COLUMNS + ", " + FourEyes.pending("p.id") + " FROM ops.parameter p WHERE name = $1";
    private static final String FIND_AS_OF =
            "SELECT " + COLUMNS + " FROM ops.parameter_all WHERE name = $1 AND valid_from <= $2 AND valid_to > $2";
    private static final String LOCK = FIND + " FOR UPDATE";
    private static final String INSERT = """
            INSERT INTO ops.parameter (id, name, kind, value, unit, least, most, about_en, about_zh)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING\s""" + COLUMNS;
    private static final String UPDATE = "UPDATE ops.parameter SET value = $2 WHERE id = $1 RETURNING " + COLUMNS;

    private final Database database;

    ParameterStore(Database database) {
        this.database = database;
    }

    Future<RowSet<Row>> list(Call call, Page page) {
        Where where = Where.ofAll();
        if (!page.after().isEmpty()) {
            where.and("name > ?", page.after().get(0));
        }
        String sql = "SELECT " + COLUMNS + " FROM ops.parameter " + where.sql() + " ORDER BY name LIMIT "
                + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    Future<FourEyes.Found<Parameter>> find(Call call, @Nullable OffsetDateTime asOf) {
        String name = call.text("name");
        return asOf == null
                ? database.row(call, FIND_WITH_PENDING, Tuple.of(name), "parameter.notFound")
                        .map(row -> FourEyes.Found.of(Parameter.from(row), row))
                : database.row(call, FIND_AS_OF, Tuple.of(name, asOf), "parameter.notFound")
                        .map(row -> new FourEyes.Found<>(Parameter.from(row), null));
    }

    Future<RowSet<Row>> versions(Call call, UUID id, Page page) {
        Where where = Where.ofAll().and("id = ?", id);
        if (!page.after().isEmpty()) {
            where.and("version < ?", Long.parseLong(page.after().get(0)));
        }
        String sql = "SELECT " + COLUMNS + " FROM ops.parameter_all " + where.sql() + " ORDER BY version DESC LIMIT "
                + where.bind(page.fetch());
        return database.query(call, sql, where.values());
    }

    Future<Parameter> locked(Tx tx) {
        return tx.row(LOCK, Tuple.of(tx.call().text("name")), "parameter.notFound")
                .map(Parameter::from);
    }

    Future<Parameter> insert(Tx tx, Parameter draft) {
        Tuple values = Tuple.of(draft.id(), draft.name(), draft.kind(), draft.value(), draft.unit());
        values.addValue(draft.least()).addValue(draft.most());
        return tx.row(INSERT, values.addString(draft.aboutEn()).addString(draft.aboutZh()), "server.failure")
                .map(Parameter::from);
    }

    Future<Parameter> update(Tx tx, UUID id, String value) {
        return tx.row(UPDATE, Tuple.of(id, value), "parameter.notFound").map(Parameter::from);
    }
}
