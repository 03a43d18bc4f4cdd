-- Common table expressions over `pool_days` (a pool-day's dimensions and its `overhead` in whole picodollars): the
-- rule of each pool-day, and in `pots` what is to be spread over the weights of whom.
pool_rules AS (
  SELECT p.provider, p.region, p.chip, p.deployment, p.commitment, p.accrued_on, p.overhead,
    max(r.rule_number) AS rule_number, arg_max(r.overhead, r.rule_number) AS goes
  FROM pool_days p LEFT JOIN ref.allocation_rules r
    ON coalesce(r.provider, p.provider) = p.provider AND coalesce(r.region, p.region) = p.region
    AND coalesce(r.chip, p.chip) = p.chip AND coalesce(r.deployment, p.deployment) = p.deployment
    AND coalesce(r.commitment, p.commitment) = p.commitment
  GROUP BY ALL
),
quotas AS (
  SELECT rule_number, tenant, CAST(quota * 1000000 AS HUGEINT) AS quota,
    sum(CAST(quota * 1000000 AS HUGEINT)) OVER (PARTITION BY rule_number ORDER BY tenant) AS quota_so_far,
    sum(CAST(quota * 1000000 AS HUGEINT)) OVER (PARTITION BY rule_number) AS whole_quota
  FROM ref.allocation_rules WHERE tenant IS NOT NULL
),
pots AS (
  -- What is to be spread: a pool-day's overhead, or a reserving tenant's part of it.
  SELECT p.* EXCLUDE (overhead, rule_number, goes), q.tenant AS payer,
    CASE WHEN q.tenant IS NULL THEN overhead
      ELSE share_so_far(overhead, quota_so_far, whole_quota)
        - share_so_far(overhead, quota_so_far - quota, whole_quota) END AS overhead
  FROM pool_rules p LEFT JOIN quotas q USING (rule_number)
  WHERE goes IS DISTINCT FROM 'unallocated'
),
