-- Deploy hartonomous:function_store_collect_batch to pg
-- requires: table_file_segment, table_token

-- SECURITY DEFINER: tensors and tiles may only be deleted by these rules.
-- Candidates are locked first and checked again under the lock. So a load that needs one is either seen here, or waits and finds
-- the row gone. Rows that a load has locked are skipped, so nothing here waits.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.collect_batch(
    grace interval, batch integer, OUT tensors bytea[], OUT tokenizers bigint, OUT tiles bigint
)
RETURNS record
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    hashes bytea[];
    ids integer[];
BEGIN
    hashes := ARRAY(
        SELECT t.hash FROM llm_store.tensor AS t
        WHERE NOT EXISTS (SELECT FROM llm_store.model_tensor AS m WHERE m.tensor_hash = t.hash)
        LIMIT batch FOR UPDATE SKIP LOCKED
    );
    WITH removed AS (
        DELETE FROM llm_store.tensor AS t
        WHERE
            t.hash = ANY (hashes)
            AND NOT EXISTS (SELECT FROM llm_store.model_tensor AS m WHERE m.tensor_hash = t.hash)
        RETURNING t.hash
    )

    SELECT coalesce(array_agg(r.hash), '{}') INTO tensors FROM removed AS r;

    ids := ARRAY(
        SELECT k.id FROM llm_store.tokenizer AS k
        WHERE NOT EXISTS (SELECT FROM llm_store.model AS m WHERE m.tokenizer_id = k.id)
        LIMIT 1 FOR UPDATE SKIP LOCKED
    );
    DELETE FROM llm_store.tokenizer AS k
    WHERE k.id = ANY (ids) AND NOT EXISTS (SELECT FROM llm_store.model AS m WHERE m.tokenizer_id = k.id);
    GET DIAGNOSTICS tokenizers = ROW_COUNT;
    DELETE FROM llm_store.token AS t
    WHERE t.tokenizer_id = ANY (ids) AND NOT EXISTS (SELECT FROM llm_store.tokenizer AS k WHERE k.id = t.tokenizer_id);

    hashes := ARRAY(
        SELECT t.hash FROM llm_store.tile AS t
        WHERE
            t.stored_at <= now() - grace
            AND NOT EXISTS (SELECT FROM llm_store.tensor_tile AS u WHERE u.tile_hash = t.hash)
            AND NOT EXISTS (SELECT FROM llm_store.file_segment AS f WHERE f.tile_hash = t.hash)
        LIMIT batch FOR UPDATE SKIP LOCKED
    );
    DELETE FROM llm_store.tile AS t
    WHERE
        t.hash = ANY (hashes)
        AND NOT EXISTS (SELECT FROM llm_store.tensor_tile AS u WHERE u.tile_hash = t.hash)
        AND NOT EXISTS (SELECT FROM llm_store.file_segment AS f WHERE f.tile_hash = t.hash);
    GET DIAGNOSTICS tiles = ROW_COUNT;
END
$function$;

ALTER FUNCTION llm_store.collect_batch(interval, integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.collect_batch(interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.collect_batch(interval, integer) TO llm_loader;
COMMENT ON FUNCTION llm_store.collect_batch(interval, integer) IS
'Removes up to batch tensors that no model has, one tokenizer, and up to batch tiles that nothing refers to and that '
'are older than grace. Returns the hashes of the tensors and the number of the others.';

COMMIT;
