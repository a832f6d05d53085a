-- Why: what people change while the system runs (limits, thresholds) is data with a history, not a setting of a node. Other
-- domains read the view ops.parameter_value; each reading sees the value in force.

CREATE SCHEMA IF NOT EXISTS ops;
GRANT USAGE ON SCHEMA ops TO kehu_app;

CREATE TABLE ops.parameter (
    id         uuid PRIMARY KEY,
    name       text NOT NULL CONSTRAINT parameter_name_shape CHECK (name ~ '^[a-z]+(\.[a-zA-Z]+)+$'),
    kind       text NOT NULL CONSTRAINT parameter_kind_known CHECK (kind IN ('number', 'text', 'flag')),
    value      text NOT NULL,
    unit       text,
    least      numeric,
    most       numeric,
    about_en   text NOT NULL,
    about_zh   text NOT NULL,
    version    bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT kehu.now(),
    CONSTRAINT parameter_name_once UNIQUE (name),
    CONSTRAINT parameter_bounds_order CHECK (least <= most),
    CONSTRAINT parameter_value_kind CHECK (CASE kind WHEN 'number' THEN value ~ '^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?$'
                                                     WHEN 'flag' THEN value IN ('true', 'false') ELSE true END),
    CONSTRAINT parameter_value_bounds CHECK (CASE WHEN kind = 'number' AND value ~ '^-?[0-9]+(\.[0-9]+)?$'
                                                  THEN value::numeric >= coalesce(least, value::numeric)
                                                   AND value::numeric <= coalesce(most, value::numeric) ELSE true END)
);
SELECT kehu.enrol('ops.parameter');

CREATE VIEW ops.parameter_value AS SELECT name, kind, value FROM ops.parameter;
GRANT SELECT ON ops.parameter_value TO kehu_app;

INSERT INTO ops.parameter (id, name, kind, value, unit, least, most, about_en, about_zh) VALUES
(uuidv7(), 'admission.users', 'number', '5000', 'users', 1, 1000000, 'Users served at once', '同时服务的用户数'),
(uuidv7(), 'alert.memory', 'number', '70', 'percent', 1, 100, 'Memory in use that raises an alert', '触发告警的内存使用率'),
(uuidv7(), 'alert.cpu', 'number', '85', 'percent', 1, 100, 'Processor load that raises an alert', '触发告警的处理器负载');
