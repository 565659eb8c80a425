BEGIN;
SELECT plan(5);

SELECT is(
    public.st_asewkt(llm_store.atom_code_point('Q8_0\000\000')),
    'SRID=3857;POINT(12582912.001953125 8388608.001953125 9175040.001953125 8912896.001953125)',
    'zero lies in the middle of the values of eight bits, and is the first code');
SELECT is(
    public.st_asewkt(llm_store.atom_code_point('F16\000\000\200')),
    'SRID=3857;POINT(12582784.001953125 12582912.001953125 9437184.001953125 8454144.001953125)',
    'minus zero of sixteen bits comes just before the middle of the values');
SELECT cmp_ok(
    public.st_x(llm_store.atom_code_point('BF16\000\200\077')), '<',
    public.st_x(llm_store.atom_code_point('BF16\000\000\100')), 'one lies before two');
SELECT is(
    public.st_y(llm_store.atom_code_point('IQ4_XS\000\017')), 8388608.001953125::double precision + 15 * 524288,
    'a code of four bits takes a sixteenth of the axis');
SELECT is_empty(
    $$SELECT c
        FROM unnest(ARRAY['', 'a', 'Q4_0\000', 'Q4_0\000\020', 'Q4_0\000\001\000', 'Q9_0\000\001', '\377\000']::bytea[]) AS c
        WHERE llm_store.atom_code_point(c) IS NOT NULL$$,
    'what is no code has no place');

SELECT * FROM finish();
ROLLBACK;
