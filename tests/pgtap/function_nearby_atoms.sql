BEGIN;
SELECT plan(10);

\ir three_tokens.psql
SELECT llm_store.store_atom_tokens(k.id) FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');

SELECT is_empty(
    $$SELECT FROM llm_atoms.nearby_atoms(llm_atoms.atom_point('aqz'), 3) WHERE content IN ('aqz', 'q')$$,
    'what no model has is not shown');
\ir a_model_of_them.psql
SELECT is(
    (SELECT n.content FROM llm_atoms.nearby_atoms(llm_atoms.atom_point('a'), 1) AS n), 'a',
    'nearest to an atom is itself');
SELECT is(
    (SELECT n.distance FROM llm_atoms.nearby_atoms(llm_atoms.atom_point('a'), 1) AS n), 0::double precision,
    'at no distance');
SELECT throws_ok('SELECT llm_atoms.nearby_atoms(llm_atoms.atom_point(''a''), 0)', '22023', NULL, 'none is refused');
SELECT throws_ok('SELECT llm_atoms.nearby_atoms(''POINT (1 2)'')', '22023', NULL, 'a point without z and m is refused');

CREATE FUNCTION pg_temp.detail(query text)
RETURNS text
LANGUAGE plpgsql
AS $function$
DECLARE
    said text;
BEGIN
    EXECUTE query;
    RETURN 'no error';
EXCEPTION WHEN invalid_parameter_value THEN
    GET STACKED DIAGNOSTICS said = PG_EXCEPTION_DETAIL;
    RETURN said;
END
$function$;
SELECT is(
    pg_temp.detail('SELECT llm_atoms.nearby_atoms(NULL, NULL)'),
    'The point is NULL, k is NULL.', 'what is NULL is called so');
SELECT is(
    pg_temp.detail('SELECT llm_atoms.nearby_atoms(public.st_makepoint(1, ''inf'', 2, 3))'),
    'x, y, z and m are 1, Infinity, 2 and 3.', 'a place out of range is told');
SELECT is_empty(
    $$SELECT c.value, i.axis FROM unnest(ARRAY['inf', '-inf', 'nan', -1e300, 1e20, 1.0995117e12]::float8[]) AS c (value)
    CROSS JOIN generate_series(1, 4) AS i (axis)
    WHERE pg_temp.detail(format(
        'SELECT llm_atoms.nearby_atoms(public.st_makepoint(%L, %L, %L, %L))',
        CASE i.axis WHEN 1 THEN c.value ELSE 1 END, CASE i.axis WHEN 2 THEN c.value ELSE 1 END,
        CASE i.axis WHEN 3 THEN c.value ELSE 1 END, CASE i.axis WHEN 4 THEN c.value ELSE 1 END)) = 'no error'$$,
    'what is not finite or further away than 2^40 is refused on every axis');
SELECT is_empty(
    $$SELECT FROM generate_series(0, 80) AS i WHERE pg_temp.detail(format(
        'SELECT llm_atoms.nearby_atoms(public.st_makepoint(%s, %s, %s, %s))',
        (i % 3 - 1) * 2::numeric ^ 40, (i / 3 % 3 - 1) * 2::numeric ^ 40,
        (i / 9 % 3 - 1) * 2::numeric ^ 40, (i / 27 - 1) * 2::numeric ^ 40)) <> 'no error'$$,
    'as far as that in any direction is searched');
SELECT matches(
    pg_temp.detail('SELECT llm_atoms.nearby_atoms(''POINT ZM EMPTY'')'), 'POINT ZM EMPTY', 'nowhere is refused');

SELECT * FROM finish();
ROLLBACK;
