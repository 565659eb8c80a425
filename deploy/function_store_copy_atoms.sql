-- Deploy hartonomous:function_store_copy_atoms to pg
-- requires: table_atom, role_llm_atom_copier

-- SECURITY DEFINER: COPY from a file needs pg_read_server_files, which no other role here has. The file is one that the
-- session's own process has open, never one that a caller names, and it is read only as rows of this table.
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
'Stores new atoms from an open file of this session''s process, given by its descriptor, in COPY''s binary format. '
'Returns false, and stores nothing, if one of them is stored already, or if llm_atom_copier has lost '
'pg_read_server_files.';

COMMIT;
