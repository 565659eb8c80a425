BEGIN;
SELECT plan(2);

SELECT is_empty(
    $$SELECT FROM llm_atoms.compose(sha256('there is no such atom'))$$, 'what is not there is part of nothing');
SELECT is_empty(
    $$SELECT FROM llm.models AS m CROSS JOIN LATERAL llm_atoms.decompose(m.hash) AS d
        WHERE NOT EXISTS (SELECT FROM llm_atoms.compose(d.part) AS c WHERE c.whole = m.hash)$$,
    'every part of a model leads back to it');

SELECT * FROM finish();
ROLLBACK;
