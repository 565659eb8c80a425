BEGIN;
SELECT plan(3);

SELECT set_eq(
    'SELECT task FROM llm.prompts WHERE version = 0',
    ARRAY['matches', 'rate', 'classify', 'summarize', 'translate', 'ask_agg'], 'each task has a first prompt');
INSERT INTO llm_store.prompt (task, version, template) VALUES ('rate', 1, 'a'), ('rate', 2, 'b');
SELECT results_eq(
    $$SELECT version, template FROM llm.prompts WHERE task = 'rate' AND is_current$$,
    $$VALUES (2, 'b')$$, 'the newest counts');
SELECT table_privs_are('llm', 'prompts', 'llm_user', ARRAY['SELECT']);

SELECT * FROM finish();
ROLLBACK;
