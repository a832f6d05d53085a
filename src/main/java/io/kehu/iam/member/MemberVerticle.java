package io.kehu.iam.member;

import io.kehu.bus.Operations;
import io.kehu.iam.session.Attempts;
import io.kehu.iam.session.Sessions;
import io.kehu.iam.staff.StaffVerticle;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag iam.member. */
public final class MemberVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        MemberService service = new MemberService(
                kernel.database(),
                new MemberStore(kernel.database()),
                kernel.vault(),
                kernel.passwords(),
                StaffVerticle.profile(kernel),
                Sessions.of(kernel),
                Attempts.of(kernel));
        return Operations.at("iam.member")
                .on("confirmMember", service::confirm)
                .on("loginMember", service::login)
                .on("refreshMember", service::refresh)
                .on("logoutMember", service::logout);
    }
}
