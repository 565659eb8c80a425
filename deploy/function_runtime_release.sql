-- Deploy hartonomous:function_runtime_release to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/ by tools/render.py.

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.release()
RETURNS text
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
RETURN '7a900a4e16d650f97f2040fe9c941d59762388a607ac4319e6a572eee33c19c7'::text;

REVOKE ALL ON FUNCTION llm_runtime.release() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.release() TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.release() IS
'The SHA-256 over the names and sources of all modules of this release: what a session compares to notice an upgrade.';

COMMIT;
