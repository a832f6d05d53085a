package io.kehu.crypto;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ScreenTest {
    @ParameterizedTest
    @ValueSource(
            strings = {
                "4111111111111111",
                "卡号4111 1111 1111 1111。",
                "5500-0055-5555-5559 请查收",
                "3782 822463 10005",
                "６２２２０２１２３４５６７８９０１２８",
                "call 13800138000 and 4111111111111111",
                "2026-11-28 4111.1111.1111.1111"
            })
    void aCardNumberIsFoundHoweverItIsWritten(String text) {
        assertThat(Screen.fault(text)).isEqualTo(Screen.CARD);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "11010519491231002X",
                "身份证11010519491231002x，谢谢",
                "110105 19491231 002X",
                "440524188001010014",
                "110105-19491231-002X"
            })
    void anIdNumberIsFoundHoweverItIsWritten(String text) {
        assertThat(Screen.fault(text)).isEqualTo(Screen.IDENTITY);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "客户来电询问 2026-11-28 10:30 的理财产品，金额 1,200,000.50 元",
                "13800138000, 010-8888-6666, 021 6666 6666",
                "4111111111111112",
                "110105194912310021",
                "订单 20261128000123",
                "12345678901234567890123456789"
            })
    void datesPhonesAmountsAndNumbersWithAWrongCheckDigitMayStay(String text) {
        assertThat(Screen.fault(text)).isNull();
    }
}
