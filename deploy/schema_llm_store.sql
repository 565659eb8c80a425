-- Deploy hartonomous:schema_llm_store to pg
-- requires: role_llm_owner, role_llm_user

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE SCHEMA llm_store AUTHORIZATION llm_owner;
COMMENT ON SCHEMA llm_store IS
'Language models as rows: tables, what the loader calls, and internal functions behind the schema llm.';
GRANT USAGE ON SCHEMA llm_store TO llm_user;

COMMIT;
