-- Deploy hartonomous:function_project to pg
-- requires: schema_llm_atoms, table_model, function_store_project_model

-- Only on demand: a map of 151,936 tokens takes as long as loading them.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_atoms.project(model text)
RETURNS double precision[]
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
COST 10000
AS $function$
DECLARE
    found_id integer;
BEGIN
    found_id := (SELECT m.id FROM llm_store.model AS m WHERE m.name = project.model);
    IF found_id IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = '42704',
            MESSAGE = CASE WHEN model IS NULL THEN 'no model is named' ELSE format('model "%s" does not exist', model) END,
            HINT = 'The models of this database are listed in llm.models.';
    END IF;
    PERFORM llm_store.project_model(found_id);
    RETURN (
        SELECT p.explained
        FROM llm_store.model_tensor AS mt
        INNER JOIN llm_store.projection AS p ON p.tensor_hash = mt.tensor_hash
        WHERE mt.model_id = found_id AND mt.name = 'token_embd.weight'
    );
END
$function$;

ALTER FUNCTION llm_atoms.project(text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_atoms.project(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_atoms.project(text) TO llm_loader;
COMMENT ON FUNCTION llm_atoms.project(text) IS
E'Makes the map of a model''s tokens for llm_atoms.token_positions: the first four principal components of the token '
'embedding.\n'
'Returns the share of the variance along each of them.\n'
'Models with the same embedding share a map; llm.collect removes it when the last of them is gone.\n'
'model: a name from llm.models.';

COMMIT;
