-- One row per finished_on x outcome x tenant x team x feature x environment: what finished tasks cost
--
-- A task costs what its session cost on the days until the one on which it ended, at most 30 days back and after the day
-- on which the session's task before it ended; tasks of one session that ended on one day are cut in equal parts, so that
-- no dollar stands in two. A task is covered where its session is known and every attempt of it has a price. A ratio over
-- tasks of which too few are covered is refused.
WITH tasks AS (
  SELECT *, CAST(timezone($zone, finished_at) AS DATE) AS finished_on FROM (
    SELECT * FROM raw.outcomes
    SEMI JOIN (SELECT source, dedupe_key FROM raw.outcomes WHERE finished_at >= $early AND finished_at < $late)
      USING (source, dedupe_key)
    QUALIFY row_number() OVER (
      PARTITION BY source, dedupe_key ORDER BY ingested_at DESC, file_hash DESC, line_number DESC, record_number DESC
    ) = 1
      -- Several sources may read one file
      AND source = min(source) OVER (PARTITION BY file_hash, line_number, record_number)
  )
),
ends AS (
  SELECT session_id, finished_on, count(*) AS task_count,
    greatest(lag(finished_on) OVER (PARTITION BY session_id ORDER BY finished_on), finished_on - 31) AS after_on
  FROM tasks WHERE finished_on < $to_on GROUP BY session_id, finished_on
),
spent AS (
  SELECT e.session_id, e.finished_on, arg_max(tenant, usage_usd) AS tenant, arg_max(team, usage_usd) AS team,
    arg_max(feature, usage_usd) AS feature, arg_max(environment, usage_usd) AS environment,
    CAST(sum(usage_usd) * 1000000000000 AS HUGEINT) AS picodollars, sum(total_tokens) AS tokens,
    sum(attempt_count) AS attempts, sum(unpriced_count) AS unpriced
  FROM ends e JOIN mart.cost_per_session c
    ON c.session_id = e.session_id AND c.accrued_on > coalesce(e.after_on, e.finished_on - 31) AND c.accrued_on <= e.finished_on
  WHERE e.finished_on >= $from_on AND c.accrued_on >= $early_on AND c.accrued_on < $to_on
  GROUP BY e.session_id, e.finished_on
),
numbered AS (
  SELECT *, row_number() OVER (PARTITION BY session_id, finished_on ORDER BY finished_at, source, dedupe_key) AS place,
    count(*) OVER (PARTITION BY session_id, finished_on) AS task_count
  FROM tasks WHERE finished_on >= $from_on AND finished_on < $to_on
),
costed AS (
  SELECT t.finished_on, t.outcome, coalesce(t.tenant, s.tenant) AS tenant, s.team, s.feature, s.environment, t.is_success,
    t.value_usd, s.session_id IS NOT NULL AS is_known,
    s.session_id IS NOT NULL AND s.unpriced = 0 AND s.picodollars IS NOT NULL AS is_covered,
    share_so_far(s.picodollars, t.place, t.task_count) - share_so_far(s.picodollars, t.place - 1, t.task_count) AS part,
    share_so_far(s.tokens, t.place, t.task_count) - share_so_far(s.tokens, t.place - 1, t.task_count) AS token_part,
    share_so_far(s.attempts, t.place, t.task_count) - share_so_far(s.attempts, t.place - 1, t.task_count) AS attempt_part
  FROM numbered t LEFT JOIN spent s USING (session_id, finished_on)
),
cells AS (
  SELECT finished_on, outcome, tenant, team, feature, environment,
    count(*) AS outcome_count,
    count(CASE WHEN is_success THEN 1 END) AS success_count,
    count(CASE WHEN is_covered THEN 1 END) AS covered_count,
    count(CASE WHEN is_covered AND is_success THEN 1 END) AS covered_success_count,
    count(CASE WHEN NOT is_known THEN 1 END) AS unknown_session_count,
    CAST(sum(CASE WHEN is_known THEN attempt_part END) AS BIGINT) AS attempt_count,
    CAST(sum(CASE WHEN is_known THEN token_part END) AS BIGINT) AS total_tokens,
    CAST(sum(CASE WHEN is_known THEN part END) * 0.000000000001::DECIMAL(13,12) AS DECIMAL(38,12)) AS usage_usd,
    CAST(sum(CASE WHEN is_covered THEN part END) * 0.000000000001::DECIMAL(13,12) AS DECIMAL(38,12)) AS covered_usd,
    sum(value_usd) AS value_usd
  FROM costed GROUP BY ALL
)
SELECT *, covered_count / outcome_count AS coverage_ratio, $least_ratio AS least_coverage_ratio,
  CASE WHEN covered_count >= $least_ratio * outcome_count
    THEN CAST(covered_usd AS DOUBLE) / nullif(covered_count, 0) END AS usd_per_outcome,
  CASE WHEN covered_count >= $least_ratio * outcome_count
    THEN CAST(covered_usd AS DOUBLE) / nullif(covered_success_count, 0) END AS usd_per_success,
  CASE WHEN covered_count < $least_ratio * outcome_count THEN
      format('{:,} of {:,} tasks are covered, less than {:.0f}%: {:,} name a session that no log has, {:,} have calls without a price',
        covered_count, outcome_count, 100 * $least_ratio, unknown_session_count,
        outcome_count - covered_count - unknown_session_count)
    WHEN covered_success_count = 0 THEN 'no task was done' END AS refused_reason
FROM cells
