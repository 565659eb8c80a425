-- Deploy hartonomous:schema_llm to pg
-- requires: role_llm_owner, role_llm_user

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE SCHEMA llm AUTHORIZATION llm_owner;
COMMENT ON SCHEMA llm IS
'Language models in SQL: functions and views for users.';
GRANT USAGE ON SCHEMA llm TO llm_user;

COMMIT;
