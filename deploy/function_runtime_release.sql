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
RETURN 'f3fcb997aa45971c6880a44a308ed05c0dd791f914e89aafb9be6a78f65b62f3'::text;

REVOKE ALL ON FUNCTION llm_runtime.release() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.release() TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.release() IS
'The SHA-256 over the names and sources of all modules of this release: what a session compares to notice an upgrade.';

COMMIT;
