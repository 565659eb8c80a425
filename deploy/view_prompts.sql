-- Deploy hartonomous:view_prompts to pg
-- requires: schema_llm, table_prompt

-- security_invoker: the rights of who reads decide.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE VIEW llm.prompts WITH (security_invoker = TRUE) AS
SELECT
    v.task,
    v.version,
    v.version = max(v.version) OVER (PARTITION BY v.task) AS is_current,
    v.template,
    v.created_at,
    v.author
FROM (
    SELECT
        f.task,
        0 AS version,
        f.template,
        NULL::timestamptz AS created_at,
        NULL::text AS author
    FROM (
        VALUES
        ('matches', E'Decide whether a condition holds for a text.\n\n'
        'Condition: {condition}\n\n'
        'Text: {text}\n\n'
        'Does the condition hold for the text? Answer with yes or no and nothing else.\nAnswer:'),
        ('rate', E'Rate how well a text meets a criterion, from 0 (not at all) to 10 (fully).\n\n'
        'Criterion: {criterion}\n\n'
        'Text: {text}\n\n'
        'Answer with one whole number from 0 to 10 and nothing else.\nAnswer:'),
        ('classify', E'Choose the label that fits a text best.\n\n'
        'Labels:\n{labels}\n\n'
        'Text: {text}\n\n'
        'Answer with one of the labels and nothing else.\nAnswer:'),
        ('summarize', E'Summarize a text in a few sentences.\n\n'
        'Text: {text}\n\n'
        'Answer with the summary and nothing else.\nSummary:'),
        ('translate', E'Translate a text into {language}.\n\n'
        'Text: {text}\n\n'
        'Answer with the translation and nothing else.\nTranslation:'),
        ('ask_agg', E'Answer a question from texts alone. Say so if they do not answer it.\n\n'
        'Question: {question}\n\n'
        'Texts:\n{text}\n\n'
        'Answer:')
    ) AS f (task, template)
    UNION ALL
    SELECT
        p.task,
        p.version,
        p.template,
        p.created_at,
        p.author
    FROM llm_store.prompt AS p
) AS v;

ALTER VIEW llm.prompts OWNER TO llm_owner;
GRANT SELECT ON llm.prompts TO llm_user;

COMMENT ON VIEW llm.prompts IS
'The prompts with which llm.matches, llm.classify and the other tasks ask a model. llm.set_prompt adds a version.';
COMMENT ON COLUMN llm.prompts.task IS 'The task: matches, rate, classify, summarize, translate or ask_agg.';
COMMENT ON COLUMN llm.prompts.version IS '0 comes with the release; each llm.set_prompt adds one.';
COMMENT ON COLUMN llm.prompts.is_current IS 'Whether this version counts: the newest of its task does.';
COMMENT ON COLUMN llm.prompts.template IS
'The text, with places in braces, such as {text}, where a call''s arguments go.';
COMMENT ON COLUMN llm.prompts.created_at IS 'When it was set; NULL for version 0.';
COMMENT ON COLUMN llm.prompts.author IS 'The role that set it; NULL for version 0.';

COMMIT;
