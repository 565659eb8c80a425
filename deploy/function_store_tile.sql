-- Deploy hartonomous:function_store_tile to pg
-- requires: table_tile, role_llm_loader

-- SECURITY DEFINER: only the owner may lock a tile. The lock protects a tile that is stored already from llm.collect until the
-- tensor that needs it is stored.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.store_tile(content bytea)
RETURNS bytea
LANGUAGE plpgsql
VOLATILE
STRICT
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    stored bytea;
BEGIN
    LOOP
        INSERT INTO llm_store.tile AS t (content) VALUES (store_tile.content)
        ON CONFLICT DO NOTHING
        RETURNING t.hash INTO stored;
        EXIT WHEN stored IS NOT NULL;
        SELECT t.hash INTO stored FROM llm_store.tile AS t WHERE t.hash = sha256(store_tile.content) FOR KEY SHARE;
        EXIT WHEN stored IS NOT NULL;
    END LOOP;
    RETURN stored;
END
$function$;

ALTER FUNCTION llm_store.store_tile(bytea) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.store_tile(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.store_tile(bytea) TO llm_loader;
COMMENT ON FUNCTION llm_store.store_tile(bytea) IS
'Stores a tile, if it is not stored yet, protects it from llm.collect until the transaction ends, and returns its '
'hash.';

COMMIT;
