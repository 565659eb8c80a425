-- Deploy hartonomous:view_settings to pg
-- requires: schema_llm, function_runtime_settings

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm.settings WITH (security_invoker = TRUE) AS
SELECT
    s.name,
    s.value,
    s.unit,
    s."default", -- noqa: RF06
    s.meaning
FROM llm_runtime.settings() AS s;

ALTER VIEW llm.settings OWNER TO llm_owner;
GRANT SELECT ON llm.settings TO llm_user;

COMMENT ON VIEW llm.settings IS
'The settings that a user may change with SET, and an administrator for a role or a database. After the first call of '
'a session SET of any other name that begins with llm. is an error.';
COMMENT ON COLUMN llm.settings.name IS 'What SET calls it.';
COMMENT ON COLUMN llm.settings.value IS 'As it is set in this session, else the default.';
COMMENT ON COLUMN llm.settings.unit IS 'MB, or NULL.';
COMMENT ON COLUMN llm.settings."default" IS -- noqa: RF06
'Its value if it is not set; a lower limit of llm_runtime.call_limits() takes its place. NULL: meaning says what then '
'happens.';
COMMENT ON COLUMN llm.settings.meaning IS 'What it does.';

COMMIT;
