package io.kehu.customer.duplicate;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kehu.bus.Call;
import io.kehu.bus.Json;
import io.kehu.bus.Principal;
import io.kehu.bus.Problem;
import io.kehu.customer.Customer;
import io.kehu.customer.CustomerSeals;
import io.kehu.job.Jobs;
import io.kehu.sql.Database;
import io.kehu.sql.Tx;
import io.kehu.sql.Where;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.sqlclient.Row;
import io.vertx.sqlclient.RowSet;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Whether somebody who is to be entered may be there already. Looks only at customers in the caller's scope: of others he
 * must not learn that they exist; such a pair waits for whoever may see both, see {@link DuplicateFollower}. So does that of
 * two who are entered at one moment and cannot see each other. What is refused for certain is a second customer with the same
 * document or external id: a unique index says so ({@code customer.idTaken}), not this.
 */
public final class EntryCheck {
    private static final int MAX_SHOWN = 5;
    /** Rows of a file looked up in one query, of each at most fifty customers are opened. */
    private static final int SLICE = 100;
    /** Rows of one file that share a phone or a birth date, beyond which it says nothing. */
    private static final int MAX_SHARED = 50;

    private final Database database;
    private final EntryStore store;

    public EntryCheck(Database database, CustomerSeals seals) {
        this.database = database;
        this.store = new EntryStore(database, seals);
    }

    private record Candidate(Customer customer, MatchRules.Match match) {}

    private static Where scope(Principal who) {
        return Where.inScopeOf(who, "c.branch_id", "c.manager_id", "c.id");
    }

    // ---- one

    /**
     * Fails with {@code customer.possibleDuplicate}, which shows the likest, unless all of them were confirmed to be others. That
     * is kept as a dismissed pair each, so that it is in the audit and no scan asks again.
     *
     * @param entered the new customer, in this transaction
     * @param checked his fields, normalised
     * @param confirmed whom the caller has looked at
     */
    public Future<?> mustBeNew(Tx tx, UUID entered, ObjectNode checked, Set<UUID> confirmed) {
        EntryStore.Look look = store.look(checked);
        return look.isEmpty()
                ? Future.succeededFuture()
                : store.alike(tx::query, scope(tx.principal()).and("c.id <> ?", entered), List.of(look))
                        .compose(rows -> judge(rows, checked, confirmed))
                        .compose(others -> keep(tx, entered, others));
    }

    /** Who is like him and was confirmed to be somebody else. */
    private Future<List<Candidate>> judge(RowSet<Row> rows, ObjectNode checked, Set<UUID> confirmed) {
        Profile mine = Profile.of(checked);
        List<Candidate> others = new ArrayList<>();
        List<Candidate> candidates = new ArrayList<>();
        for (Row row : rows) {
            Customer customer = store.opened(row);
            MatchRules.Match match = MatchRules.compare(mine, Profile.of(customer.toDraft()));
            if (match.isPossible()) {
                boolean isOther = confirmed.contains(customer.id());
                (isOther ? others : candidates).add(new Candidate(customer, match));
            }
        }
        if (candidates.isEmpty()) {
            return Future.succeededFuture(others);
        }
        candidates.sort(
                Comparator.comparingDouble((Candidate c) -> -c.match.score()).thenComparing(c -> c.customer.id()));
        ObjectNode members = Json.object();
        ArrayNode shown = members.putArray("candidates");
        for (Candidate candidate : candidates.subList(0, Math.min(MAX_SHOWN, candidates.size()))) {
            ObjectNode entry =
                    shown.addObject().put("id", candidate.customer.id().toString());
            String name = candidate.customer.toDraft().path("name").textValue();
            if (name != null) {
                entry.put("name", name);
            }
            entry.put("score", candidate.match.score()).put("level", candidate.match.level());
            entry.set("reasons", candidate.match.tree());
        }
        return Future.failedFuture(Problem.of("customer.possibleDuplicate", Integer.toString(candidates.size()))
                .with(members));
    }

    private Future<?> keep(Tx tx, UUID entered, List<Candidate> others) {
        return others.isEmpty()
                ? Future.succeededFuture()
                : store.keep(
                        tx,
                        entered,
                        others.stream().map(c -> c.customer.id()).toList(),
                        others.stream().map(Candidate::match).toList());
    }

    // ---- many

    /** The rows of a file that would be new customers, and what is known of each. */
    private record Rows(
            List<@Nullable Profile> profiles, List<EntryStore.Look> looks, boolean leavesOut, int[] alike) {}

    /**
     * To how many each is alike: of the customers in scope, and of those before it that are to be entered.
     *
     * @param drafts normalised fields; null for what is not looked at, and is like nobody
     * @param leavesOut whether whoever is like somebody is not entered, so that later ones are not held against him
     */
    public Future<int[]> alike(Call call, Jobs jobs, List<@Nullable ObjectNode> drafts, boolean leavesOut) {
        return jobs.<Rows>compute(() -> {
                    List<@Nullable Profile> profiles = new ArrayList<>();
                    List<EntryStore.Look> looks = new ArrayList<>();
                    for (ObjectNode draft : drafts) {
                        profiles.add(draft == null ? null : Profile.of(draft));
                        looks.add(store.look(draft == null ? Json.object() : draft));
                    }
                    return new Rows(profiles, looks, leavesOut, new int[drafts.size()]);
                })
                .compose(rows -> known(call, jobs, rows, 0)
                        .compose(v -> jobs.compute(() -> {
                            amongThemselves(rows);
                            return rows.alike;
                        })));
    }

    private Future<?> known(Call call, Jobs jobs, Rows rows, int from) {
        if (from >= rows.looks.size()) {
            return Future.succeededFuture();
        }
        List<EntryStore.Look> slice = rows.looks.subList(from, Math.min(rows.looks.size(), from + SLICE));
        Future<?> done = slice.stream().allMatch(EntryStore.Look::isEmpty)
                ? Future.succeededFuture()
                : store.alike((sql, values) -> database.query(call, sql, values), scope(call.principal()), slice)
                        .compose(found -> jobs.compute(() -> {
                            for (Row row : found) {
                                int n = from + row.getInteger("n");
                                Profile mine = rows.profiles.get(n);
                                Profile other = Profile.of(store.opened(row).toDraft());
                                if (mine != null
                                        && MatchRules.compare(mine, other).isPossible()) {
                                    rows.alike[n]++;
                                }
                            }
                            return rows;
                        }));
        return done.compose(v -> known(call, jobs, rows, from + SLICE));
    }

    private static void amongThemselves(Rows rows) {
        Map<Object, List<Integer>> sharing = new HashMap<>();
        for (int n = 0; n < rows.looks.size(); n++) {
            Profile mine = rows.profiles.get(n);
            if (mine == null) {
                continue;
            }
            EntryStore.Look look = rows.looks.get(n);
            List<Object> keys = new ArrayList<>();
            for (Buffer contact : look.contacts()) {
                keys.add(contact);
            }
            if (look.born() != null) {
                for (Integer token : look.tokens()) {
                    keys.add(look.born() + " " + token);
                }
            }
            Set<Integer> before = new LinkedHashSet<>();
            keys.forEach(key -> {
                List<Integer> others = sharing.getOrDefault(key, List.of());
                if (others.size() <= MAX_SHARED) {
                    before.addAll(others);
                }
            });
            for (int other : before) {
                Profile his = rows.profiles.get(other);
                rows.alike[n] += his != null && MatchRules.compare(mine, his).isPossible() ? 1 : 0;
            }
            if (rows.alike[n] == 0 || !rows.leavesOut) {
                for (Object key : keys) {
                    sharing.computeIfAbsent(key, k -> new ArrayList<>()).add(n);
                }
            }
        }
    }
}
