-- Deploy hartonomous:function_store_atom_center to pg
-- requires: function_atom_point, table_tensor_tile, table_tile

-- The middles of steps are multiples of 1/512, so sums are exact and do not depend on the order of the tiles.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.atom_center(tensor_hashes bytea[])
RETURNS public.geometry
LANGUAGE sql
STABLE
STRICT
PARALLEL SAFE
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
COST 10000
AS $function$
    SELECT public.st_setsrid(public.st_makepoint(
        floor(avg(public.st_x(p.point)) * 256) / 256 + 1.0 / 512, floor(avg(public.st_y(p.point)) * 256) / 256 + 1.0 / 512,
        floor(avg(public.st_z(p.point)) * 256) / 256 + 1.0 / 512, floor(avg(public.st_m(p.point)) * 256) / 256 + 1.0 / 512
    ), 3857)
    FROM (
        SELECT llm_atoms.atom_point(t.content) AS point
        FROM unnest(tensor_hashes) AS h (hash)
        INNER JOIN llm_store.tensor_tile AS u ON u.tensor_hash = h.hash
        INNER JOIN llm_store.tile AS t ON t.hash = u.tile_hash
        OFFSET 0
    ) AS p
$function$;

ALTER FUNCTION llm_store.atom_center(bytea[]) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.atom_center(bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.atom_center(bytea[]) TO llm_user;
COMMENT ON FUNCTION llm_store.atom_center(bytea[]) IS
'The point of tensors, a layer or a model: the mean of the points of all their tiles, in the middle of a step.';

COMMIT;
