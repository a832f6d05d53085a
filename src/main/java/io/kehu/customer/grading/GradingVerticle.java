package io.kehu.customer.grading;

import io.kehu.bus.Operations;
import io.kehu.customer.CustomerSeals;
import io.kehu.customer.CustomerStore;
import io.kehu.customer.tag.RuleTagStore;
import io.kehu.event.Consumer;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import io.vertx.core.Future;
import java.time.ZoneId;
import java.util.List;

/** The operations of the tag customer.grading, and the work behind them. */
public final class GradingVerticle implements Domain {
    /** Only nodes that serve customers follow and look at the hour. */
    @Override
    public Future<List<String>> prepare(Kernel kernel) {
        Consumer consumer = new Consumer(
                kernel.vertx(),
                kernel.database(),
                GradingWork.KIND,
                GradingWork.EVENTS,
                false,
                kernel.number("events.pollMillis"),
                work(kernel)::follow);
        kernel.atStop().accept(consumer::stop);
        GradingService service = service(kernel);
        int hour = kernel.number("grading.hour");
        String zone = kernel.text("zone");
        kernel.every(
                kernel.number("grading.checkSeconds") * 1_000L,
                () -> service.startNight(zone, hour),
                GradingService::later);
        return Future.succeededFuture(List.of());
    }

    @Override
    public Operations operations(Kernel kernel) {
        kernel.jobs().register(GradingWork.KIND, null, work(kernel)::run);
        GradingService service = service(kernel);
        return Operations.at("customer.grading")
                .on("listGradingRules", service::list)
                .on("getGradingRule", service::get)
                .on("createGradingRule", service::create)
                .on("changeGradingRule", service::change)
                .on("tryGradingRule", service::trial)
                .on("startGrading", service::start)
                .on("listCustomerGrades", service::grades)
                .on("putCustomerClass", service::putClass);
    }

    private static GradingWork work(Kernel kernel) {
        return new GradingWork(
                kernel.database(), kernel.jobs(), grades(kernel), new RuleTagStore(), kernel.number("jobs.chunkRows"));
    }

    private static GradingService service(Kernel kernel) {
        return new GradingService(
                kernel.database(),
                new GradingRuleStore(kernel.database()),
                grades(kernel),
                kernel.jobs(),
                kernel::cursorMac);
    }

    private static GradeStore grades(Kernel kernel) {
        return new GradeStore(
                kernel.database(),
                new CustomerStore(kernel.database(), CustomerSeals.of(kernel)),
                kernel.clock(),
                ZoneId.of(kernel.text("zone")));
    }
}
