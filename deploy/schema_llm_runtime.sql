-- Deploy hartonomous:schema_llm_runtime to pg
-- requires: extension_plpython3u, role_llm_owner, role_llm_user

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE SCHEMA llm_runtime;
COMMENT ON SCHEMA llm_runtime IS
'The Python code of language models; only a superuser can change it.';
GRANT USAGE ON SCHEMA llm_runtime TO llm_owner, llm_user;

COMMIT;
