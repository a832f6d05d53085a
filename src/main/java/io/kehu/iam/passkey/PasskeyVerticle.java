package io.kehu.iam.passkey;

import io.kehu.bus.Operations;
import io.kehu.iam.session.Attempts;
import io.kehu.iam.session.SignIn;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;

/** The operations of the tag iam.passkey. */
public final class PasskeyVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        PasskeyService service = new PasskeyService(
                kernel.database(),
                new PasskeyStore(kernel.database()),
                Passkeys.of(kernel),
                SignIn.of(kernel),
                Attempts.of(kernel));
        return Operations.at("iam.passkey")
                .on("listPasskeys", service::list)
                .on("startPasskeyRegistration", service::startRegistration)
                .on("createPasskey", service::create)
                .on("deletePasskey", service::delete)
                .on("startPasskeySignIn", service::startSignIn)
                .on("finishPasskeySignIn", service::finishSignIn);
    }
}
