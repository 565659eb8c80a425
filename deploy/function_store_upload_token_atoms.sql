-- Deploy hartonomous:function_store_upload_token_atoms to pg
-- requires: schema_llm_store, function_store_atomise_part

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.upload_token_atoms(tokenizer_id integer, part integer)
RETURNS bigint
LANGUAGE plpgsql
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF tokenizer_id IS NULL OR part IS NULL OR part NOT IN (0, 1) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'there is no such part of a tokenizer''s tokens',
            DETAIL = format('The tokenizer is %s, the part %s.', tokenizer_id, part),
            HINT = 'The parts are 0 and 1; llm_store.upload_vocabulary returns a tokenizer''s number.';
    END IF;
    RETURN llm_store.atomise_part(tokenizer_id, part);
END
$function$;

ALTER FUNCTION llm_store.upload_token_atoms(integer, integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.upload_token_atoms(integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.upload_token_atoms(integer, integer) TO llm_loader;
COMMENT ON FUNCTION llm_store.upload_token_atoms(integer, integer) IS
E'Stores one of the two parts of a tokenizer''s tokens as atoms, so that two sessions can share the work. Returns how '
'many tokens are in the part; 0 if it was stored already, or if the tokenizer is gone, and then '
'llm_store.upload_tokenizer '
'stores both again.\n'
'tokenizer_id: from llm_store.upload_vocabulary, committed; part: 0 or 1. llm_store.upload_tokenizer then does '
'the rest, as '
'llm_store.publish would.';

COMMIT;
