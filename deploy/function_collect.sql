-- Deploy hartonomous:function_collect to pg
-- requires: schema_llm, function_store_collect_batch, function_store_collect_atoms, function_store_forget_packed

-- It commits after each batch, so that its locks are short. A procedure that commits cannot have SET search_path. So every
-- name is qualified, and a function with SET search_path does the work.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE PROCEDURE llm.collect(grace interval DEFAULT '1 day')
LANGUAGE plpgsql
SECURITY INVOKER
AS $procedure$
DECLARE
    atoms_at_once CONSTANT integer := 200000;
    batch record;
    atoms bigint;
    tensors bigint := 0;
    tokenizers bigint := 0;
    tiles bigint := 0;
BEGIN
    IF grace IS NULL OR grace OPERATOR(pg_catalog.<) '0'::pg_catalog.interval THEN
        RAISE invalid_parameter_value USING MESSAGE = 'grace must not be NULL or negative';
    END IF;
    LOOP
        SELECT b.* INTO batch FROM llm_store.collect_batch(grace, 256) AS b;
        COMMIT;
        EXIT WHEN pg_catalog.cardinality(batch.tensors) OPERATOR(pg_catalog.=) 0
            AND batch.tokenizers OPERATOR(pg_catalog.=) 0
            AND batch.tiles OPERATOR(pg_catalog.=) 0;
        IF pg_catalog.cardinality(batch.tensors) OPERATOR(pg_catalog.>) 0 THEN
            PERFORM llm_store.forget_packed(batch.tensors);
        END IF;
        tensors := tensors OPERATOR(pg_catalog.+) pg_catalog.cardinality(batch.tensors);
        tokenizers := tokenizers OPERATOR(pg_catalog.+) batch.tokenizers;
        tiles := tiles OPERATOR(pg_catalog.+) batch.tiles;
    END LOOP;
    LOOP
        atoms := llm_store.collect_atoms(atoms_at_once);
        COMMIT;
        EXIT WHEN atoms OPERATOR(pg_catalog.<) atoms_at_once;
    END LOOP;
    RAISE NOTICE 'removed % tensors, % tokenizers, % tiles', tensors, tokenizers, tiles;
END
$procedure$;

ALTER PROCEDURE llm.collect(interval) OWNER TO llm_owner;
REVOKE ALL ON PROCEDURE llm.collect(interval) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE llm.collect(interval) TO llm_loader;
COMMENT ON PROCEDURE llm.collect (interval) IS
E'Removes tensors and tokenizers that no model has, packed files of these tensors, and tiles that nothing refers to. '
'Tiles younger than grace stay, because a load in progress may need them.\n'
'Commits after each batch: call it outside of a transaction.';

COMMIT;
