-- Deploy hartonomous:function_runtime_pack_limits to pg
-- requires: schema_llm_runtime

-- Literals in a superuser's function, not settings: a setting that any user may change would let that user fill the disk.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.pack_limits(OUT bytes bigint, OUT free_bytes bigint)
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
BEGIN ATOMIC
    SELECT
        68719476736::bigint AS bytes, -- 64 GiB
        1073741824::bigint AS free_bytes; -- 1 GiB
END;

REVOKE ALL ON FUNCTION llm_runtime.pack_limits() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.pack_limits() TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.pack_limits() IS
'How much disk packed weights may use. bytes: for all of them, of all databases of the server; the longest unused '
'are removed first. free_bytes: the free space that packing leaves. A superuser may replace the function.';

COMMIT;
