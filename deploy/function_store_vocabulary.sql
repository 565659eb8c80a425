-- Deploy hartonomous:function_store_vocabulary to pg
-- requires: schema_llm_store, function_runtime_boot, role_llm_owner

-- Three arrays instead of rows: 0.16 s instead of 0.47 s for 151,936 tokens.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.vocabulary(
    definition text, settings jsonb, OUT bytes bytea[], OUT texts text[], OUT kinds text[]
)
RETURNS record
LANGUAGE plpython3u
STABLE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.ingestion.vocabulary(definition, settings)
$python$;

REVOKE ALL ON FUNCTION llm_store.vocabulary(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.vocabulary(text, jsonb) TO llm_owner;
COMMENT ON FUNCTION llm_store.vocabulary(text, jsonb) IS
'The vocabulary of a tokenizer in the order of ids, from 0: bytes, readable texts and kinds. definition: a '
'tokenizer.json document; settings: see llm_store.tokenizer.';

COMMIT;
