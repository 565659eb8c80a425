-- Deploy hartonomous:function_store_atom_keys to pg
-- requires: schema_llm_store, function_runtime_boot

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.atom_keys(type text, content bytea, plane integer)
RETURNS text
LANGUAGE plpython3u
IMMUTABLE
STRICT
PARALLEL UNSAFE
SECURITY INVOKER
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.weight_rows.atom_keys(type, content, plane)
$python$;

REVOKE ALL ON FUNCTION llm_store.atom_keys(text, bytea, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.atom_keys(text, bytea, integer) TO llm_user;
COMMENT ON FUNCTION llm_store.atom_keys(text, bytea, integer) IS
'The Hilbert keys of the weight codes of whole rows of a tensor in one plane: 0 is h_xy, 1 h_yz, 2 h_zm of '
'llm_atoms.atoms. Returns the text of a bigint[], or NULL for an encoding whose codes are not atoms.';

COMMIT;
