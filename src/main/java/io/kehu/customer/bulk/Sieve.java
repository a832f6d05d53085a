package io.kehu.customer.bulk;

import io.kehu.bus.Call;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.bulk.CustomerChunks.Entry;
import io.kehu.customer.bulk.CustomerChunks.Found;
import io.kehu.customer.bulk.CustomerChunks.Keys;
import io.kehu.customer.duplicate.EntryCheck;
import io.kehu.job.Jobs;
import io.kehu.kernel.Kernel;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Of entries that would be new customers, which are like somebody, and whether those are entered all the same. */
public final class Sieve {
    private final Jobs jobs;
    private final CustomerChunks customers;
    private final EntryCheck check;

    public Sieve(Kernel kernel, CustomerChunks customers) {
        this.jobs = kernel.jobs();
        this.customers = customers;
        this.check = new EntryCheck(kernel.database(), CustomerSeals.of(kernel));
    }

    /**
     * What was let through, and to how many customers each entry is alike.
     *
     * @param entries those that are to be entered
     * @param left which of the given ones are not
     * @param alike of each given one; 0 where nobody looked
     */
    @SuppressWarnings("ArrayRecordComponent") // on its way to a plan, never compared
    public record Sifted(List<Entry> entries, List<Keys> keys, boolean[] left, int[] alike) {}

    /** @param duplicates create, skip or report; see {@code ImportDraft} of the contract */
    public Future<Sifted> sift(
            Call call, String duplicates, List<Entry> entries, List<Keys> keys, Found found, LocalDate today) {
        int size = entries.size();
        if (duplicates.equals("create")) {
            return Future.succeededFuture(new Sifted(entries, keys, new boolean[size], new int[size]));
        }
        boolean skips = duplicates.equals("skip");
        return jobs.compute(() -> customers.newcomers(entries, keys, found, today))
                .compose(drafts -> check.alike(call, jobs, drafts, skips))
                .map(alike -> {
                    List<Entry> let = new ArrayList<>();
                    List<Keys> its = new ArrayList<>();
                    boolean[] left = new boolean[size];
                    Map<Buffer, Integer> first = new HashMap<>();
                    for (int i = 0; i < size; i++) {
                        Buffer external = keys.get(i).external();
                        Integer former = external == null ? null : first.putIfAbsent(external, i);
                        if (former != null && left[former]) {
                            // More about one who was not entered.
                            alike[i] = alike[former];
                        }
                        left[i] = skips && alike[i] > 0;
                        if (!left[i]) {
                            let.add(entries.get(i));
                            its.add(keys.get(i));
                        }
                    }
                    return new Sifted(let, its, left, alike);
                });
    }
}
