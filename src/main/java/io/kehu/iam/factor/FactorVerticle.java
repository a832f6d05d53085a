package io.kehu.iam.factor;

import io.kehu.bus.Operations;
import io.kehu.iam.passkey.Passkeys;
import io.kehu.iam.session.Attempts;
import io.kehu.iam.session.SignIn;
import io.kehu.kernel.Domain;
import io.kehu.kernel.Kernel;
import java.time.Duration;

/** The operations of the tag iam.factor. */
public final class FactorVerticle implements Domain {
    @Override
    public Operations operations(Kernel kernel) {
        FactorStore store = new FactorStore(kernel.database(), kernel.vault());
        FactorService service = new FactorService(
                kernel.database(),
                store,
                Factors.of(kernel),
                new SmsCodes(
                        kernel.database(),
                        store,
                        kernel.vault(),
                        kernel.codes(),
                        Duration.ofMinutes(kernel.number("auth.codeMinutes")),
                        kernel.number("auth.codesPerHour")),
                Passkeys.of(kernel),
                SignIn.of(kernel),
                Attempts.of(kernel),
                kernel.passwords());
        return Operations.at("iam.factor")
                .on("listFactors", service::list)
                .on("enrolTotp", service::enrolTotp)
                .on("enrolSms", service::enrolSms)
                .on("confirmFactor", service::confirm)
                .on("removeFactor", service::remove)
                .on("renewRecoveryCodes", service::renewRecovery)
                .on("finishSignIn", service::finishSignIn)
                .on("sendSignInCode", service::sendSignInCode)
                .on("stepUp", service::stepUp)
                .on("sendStepUpCode", service::sendStepUpCode)
                .on("startSignInPasskey", service::startSignInPasskey)
                .on("startStepUpPasskey", service::startStepUpPasskey);
    }
}
