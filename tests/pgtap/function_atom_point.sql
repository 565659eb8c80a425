BEGIN;
SELECT plan(7);

SELECT is(
    public.st_asewkt(llm_atoms.atom_point('\x80')),
    'SRID=3857;POINT(12582912.001953125 12582912.001953125 8388608.001953125 12582912.001953125)',
    'a byte lies on the diagonal: it is its own beginning, end and middle');
SELECT is(
    public.st_x(llm_atoms.atom_point('interest')), public.st_x(llm_atoms.atom_point('internal')),
    'the first four bytes decide x');
SELECT is(
    public.st_y(llm_atoms.atom_point('singing')), public.st_y(llm_atoms.atom_point('bringing')),
    'the last four bytes decide y');
SELECT is(
    public.st_z(llm_atoms.atom_point('ab')) - public.st_z(llm_atoms.atom_point('a')),
    262144::double precision, 'twice as long is 2^26 steps further along z');
SELECT throws_ok(
    'SELECT llm_atoms.atom_point('''')', '22023', 'empty content has no point', 'empty content has no point');
DO $$
BEGIN
    PERFORM llm_atoms.atom_point('');
EXCEPTION WHEN invalid_parameter_value THEN
    DECLARE
        said text;
    BEGIN
        GET STACKED DIAGNOSTICS said = PG_EXCEPTION_DETAIL;
        PERFORM set_config('tests.detail', said, TRUE);
    END;
END
$$;
SELECT is(current_setting('tests.detail'), 'The content has 0 bytes.', 'and how much nothing is, is said');
SELECT is(llm_atoms.atom_point(NULL), NULL, 'no content, no place');

SELECT * FROM finish();
ROLLBACK;
