-- Deploy hartonomous:schema_llm to pg
-- requires: role_llm_owner, role_llm_user

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE SCHEMA llm AUTHORIZATION llm_owner;
COMMENT ON SCHEMA llm IS
'Language models in SQL: the functions and views that people use.';
GRANT USAGE ON SCHEMA llm TO llm_user;

COMMIT;
