package io.kehu.customer.overview;

import java.util.Locale;

/** A part of the overview, in the order in which they are shown. Its name is that of its view and of its field in the contract. */
enum Section {
    HOUSEHOLD("household", "relation:read", Other.ANYBODY),
    RELATIONS("relations", "relation:read", Other.SOMEBODY_ELSE),
    TAGS("tags", "tag:read", Other.NONE),
    INTERACTIONS("interactions", "interaction:read", Other.NONE),
    CONSENTS("consents", "consent:read", Other.NONE),
    DOCUMENTS("documents", "document:read", Other.NONE),
    DUPLICATES("duplicates", "duplicate:read", Other.SOMEBODY_ELSE),
    ACCOUNTS("accounts", "account:read", Other.NONE),
    HOLDINGS("holdings", "holding:read", Other.NONE),
    LOANS("loans", "loan:read", Other.NONE),
    CASES("cases", "case:read", Other.NONE),
    CAMPAIGNS("campaigns", "campaign:read", Other.NONE),
    SCORES("scores", "score:read", Other.NONE),
    ALERTS("alerts", "alert:read", Other.NONE);

    /** Which other customer each item names, who must be in scope too. */
    enum Other {
        NONE,
        /** Also the customer himself. */
        ANYBODY,
        /** What is between two sides of one record is not shown for as long as they are one. */
        SOMEBODY_ELSE
    }

    private final String field;
    private final String permission;
    private final Other other;

    Section(String field, String permission, Other other) {
        this.field = field;
        this.permission = permission;
        this.other = other;
    }

    static Section of(String field) {
        return valueOf(field.toUpperCase(Locale.ROOT));
    }

    String field() {
        return field;
    }

    String permission() {
        return permission;
    }

    String view() {
        return "overview_" + field;
    }

    Other other() {
        return other;
    }
}
