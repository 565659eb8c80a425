-- Deploy hartonomous:function_store_copy_atoms to pg
-- requires: table_atom, role_llm_atom_copier

-- SECURITY DEFINER: COPY from a file asks for pg_read_server_files, which nobody else here has. What is read is a file
-- that the session's own process has open, never one that a caller names, and only as rows of this table.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.copy_atoms(descriptor integer)
RETURNS boolean
LANGUAGE plpgsql
VOLATILE
STRICT
PARALLEL UNSAFE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF NOT pg_has_role('pg_read_server_files', 'USAGE') THEN
        RETURN FALSE;
    END IF;
    EXECUTE format(
        'COPY llm_store.atom (h_xy, h_yz, h_zm, geom, modality, content_hash, content) FROM %L (FORMAT binary)',
        '/proc/self/fd/' || descriptor
    );
    RETURN TRUE;
EXCEPTION
    WHEN unique_violation THEN
        RETURN FALSE;
END
$function$;

GRANT USAGE ON SCHEMA llm_store TO llm_atom_copier;
GRANT INSERT ON llm_store.atom TO llm_atom_copier;
ALTER FUNCTION llm_store.copy_atoms(integer) OWNER TO llm_atom_copier;
REVOKE ALL ON FUNCTION llm_store.copy_atoms(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.copy_atoms(integer) TO llm_owner;
COMMENT ON FUNCTION llm_store.copy_atoms(integer) IS
'Stores new atoms from a file in COPY''s binary format that this session''s process has open: its descriptor. Returns '
'false, and nothing is stored, where one of them is there already, or where llm_atom_copier has lost '
'pg_read_server_files.';

COMMIT;
