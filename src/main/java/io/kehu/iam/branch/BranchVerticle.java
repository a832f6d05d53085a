package io.kehu.iam.branch;

import io.kehu.bus.Operations;
import io.kehu.sql.Database;
import io.vertx.core.Future;
import io.vertx.core.VerticleBase;
import java.util.function.UnaryOperator;

/** The operations of the tag iam.branch. */
public final class BranchVerticle extends VerticleBase {
    private final BranchService service;

    /**
     * Serves branches.
     *
     * @param mac keyed hash for cursors
     */
    public BranchVerticle(Database database, UnaryOperator<byte[]> mac) {
        this.service = new BranchService(database, new BranchStore(database), mac);
    }

    @Override
    public Future<?> start() {
        return Operations.at("iam.branch")
                .on("listBranches", service::list)
                .on("getBranch", service::get)
                .on("createBranch", service::create)
                .on("changeBranch", service::change)
                .serve(vertx);
    }
}
