-- Deploy hartonomous:function_store_project_model to pg
-- requires: table_model_tensor, function_store_project

-- SECURITY DEFINER: models of different owners share maps, so they are written only by this function, which takes
-- everything from tiles that are stored already.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.project_model(model_id integer)
RETURNS void
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    embedding bytea;
BEGIN
    embedding := (
        SELECT mt.tensor_hash FROM llm_store.model_tensor AS mt
        WHERE mt.model_id = project_model.model_id AND mt.name = 'token_embd.weight'
    );
    IF NOT EXISTS (SELECT FROM llm_store.projection AS p WHERE p.tensor_hash = embedding) THEN
        PERFORM llm_store.project(embedding);
    END IF;
END
$function$;

ALTER FUNCTION llm_store.project_model(integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.project_model(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.project_model(integer) TO llm_loader;
COMMENT ON FUNCTION llm_store.project_model(integer) IS
'Computes the map of a model''s token embedding, if there is none yet. See llm_atoms.project.';

COMMIT;
