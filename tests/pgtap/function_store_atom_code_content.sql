BEGIN;
SELECT plan(2);

SELECT is(
    llm_store.atom_code_content('Q8_0', 253), 'Q8_0\000\375'::bytea, 'a code of eight bits is one byte');
SELECT is_empty(
    $$SELECT FROM llm_store.code_lines() AS l
    CROSS JOIN LATERAL (VALUES (l.first_code), (l.last_code)) AS c (code)
    CROSS JOIN LATERAL llm_store.atom_code(llm_store.atom_code_content(l.type, c.code)) AS k
    WHERE (k.type, k.code) IS DISTINCT FROM (l.type, c.code)$$,
    'each encoding and code is read out of it again');

SELECT * FROM finish();
ROLLBACK;
