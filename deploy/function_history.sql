-- Deploy hartonomous:function_history to pg
-- requires: schema_llm, table_operation

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.history(model text)
RETURNS TABLE (operation text, parents text[], author text, done_at timestamptz, details jsonb, hash bytea)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    m llm_store.model;
    beginning llm_store.operation;
BEGIN
    SELECT o.* INTO m FROM llm_store.model AS o WHERE o.name = history.model;
    IF NOT FOUND THEN
        RAISE undefined_object USING
            MESSAGE = format('model "%s" does not exist', model),
            HINT = 'The models of this database are listed in llm.models.';
    END IF;
    SELECT p.* INTO beginning FROM llm_store.operation AS p WHERE p.model_id = m.id ORDER BY p.id LIMIT 1;
    IF beginning.parents IS NULL THEN
        RETURN QUERY SELECT
            'load', NULL::text[], m.owner::text, m.created_at,
            jsonb_build_object('container', m.container), coalesce(beginning.hash_before, m.hash);
    END IF;
    RETURN QUERY
    SELECT p.operation, p.parents, p.author, p.done_at, p.details, p.hash_after
    FROM llm_store.operation AS p
    WHERE p.model_id = m.id
    ORDER BY p.id;
END
$function$;

ALTER FUNCTION llm.history(text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.history(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.history(text) TO llm_user;
COMMENT ON FUNCTION llm.history(text) IS
E'The operations on a model in order: operation (load, fork, set_row, merge, ...), parents (the models that it was '
'made of; NULL if the model itself was changed), author, time, the arguments without weights, and the model''s hash '
'after it.\n'
'model: a name from llm.models.\n'
'Operations on a parent are in the parent''s own history.';

COMMIT;
