package io.kehu.iam.session;

import io.kehu.bus.Operations;
import io.kehu.iam.staff.StaffVerticle;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import io.vertx.core.Future;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The operations of the tag iam.session, and the forgetting of what has long ended. */
public final class SessionVerticle implements Domain {
    private static final Logger LOG = LoggerFactory.getLogger(SessionVerticle.class);
    private static final long HOUSE_MILLIS = 60_000;

    @Override
    public Operations operations(Kernel kernel) {
        SessionService service = new SessionService(
                kernel.database(),
                new SessionStore(kernel.database(), kernel.vault()),
                Sessions.of(kernel),
                SignIn.of(kernel),
                kernel.passwords(),
                StaffVerticle.profile(kernel),
                Attempts.of(kernel),
                kernel::cursorMac);
        return Operations.at("iam.session")
                .on("login", service::login)
                .on("refreshSession", service::refresh)
                .on("logout", service::logout)
                .on("listSessions", service::list)
                .on("endSession", service::end)
                .on("endSessions", service::endAll)
                .on("getMe", service::me);
    }

    @Override
    public Future<List<String>> prepare(Kernel kernel) {
        SessionStore store = new SessionStore(kernel.database(), kernel.vault());
        kernel.every(
                HOUSE_MILLIS,
                store::forgetOld,
                e -> LOG.warn("old sessions are not forgotten yet: {}", e.getMessage()));
        return Future.succeededFuture(List.of());
    }
}
