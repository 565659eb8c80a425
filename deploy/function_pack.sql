-- Deploy hartonomous:function_pack to pg
-- requires: schema_llm, function_store_pack_model

-- SECURITY INVOKER: the model is looked up with the caller's rights; llm_store.pack_model packs it.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.pack(model text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.packed_cache.pack(model)
$python$;

REVOKE ALL ON FUNCTION llm.pack(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.pack(text) TO llm_user;
COMMENT ON FUNCTION llm.pack(text) IS
E'Packs the weights of a model (NULL: the default model) into files that all sessions share, if they are not packed '
'yet. Returns the number of bytes. hartonomous load does it at its end; the first use of a model also packs it.\n'
'If it is ended, the finished files stay, and the next call packs the rest. A client that sets client_min_messages to '
'debug2 is told how far it is.';

COMMIT;
