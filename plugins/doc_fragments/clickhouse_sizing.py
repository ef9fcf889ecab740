# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in module_utils/shell/clickhouse_sizing_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  environment:
    description:
      - What the installation is for. What is too small fails for V(production) and is a warning for V(dev); what does
        harm fails for both.
    type: str
    choices: [dev, production]
    required: true
  plan:
    description:
      - The planned topology. Figures are those of each replica.
      - What is left out and matters is V(unknown) in production, unless a server of O(live) tells it.
    type: dict
    suboptions:
      topology:
        description: V(single) or V(replicated) in the cluster, V(external) the operator's own, V(managed) LangChain's.
        type: str
        choices: [single, replicated, external, managed]
        required: true
      replicas:
        description: Number of replicas of a shard.
        type: int
      shards:
        description: Number of shards. LangSmith reads one only.
        type: int
      cpu:
        description: CPU that each replica requests, in vCPU.
        type: float
      memory_gib:
        description: Memory that each replica requests, in GiB.
        type: float
      cpu_limit:
        description: CPU that each replica may use, in vCPU.
        type: float
      memory_limit_gib:
        description: Memory that each replica may use, in GiB.
        type: float
      instance_types:
        description:
          - EC2 types of the nodes, from xlarge to 8xlarge of the m, r, c and i families since the fifth.
          - EKS takes another where the first has run out, so that each of them has to do and the weakest decides.
        type: list
        elements: str
      zones:
        description: Number of availability zones that the replicas are spread over.
        type: int
      anti_affinity:
        description: Whether no two replicas may share a node.
        type: bool
      pod_disruption_budget:
        description: Whether a PodDisruptionBudget lets one replica go at a time.
        type: bool
      keeper:
        description: The Keeper ensemble of topology V(replicated).
        type: dict
        suboptions:
          nodes:
            description: Number of nodes.
            type: int
          zones:
            description: Number of availability zones that they are spread over.
            type: int
          persistence:
            description: Whether each has a persistent volume.
            type: bool
      volume:
        description: The data volume.
        type: dict
        suboptions:
          type:
            description: Its EBS type, as V(gp3) or V(io2).
            type: str
          size_gib:
            description: Its size in GiB.
            type: float
          iops:
            description: Its I/O operations per second. V(gp3) has 3000 unless told otherwise.
            type: float
          throughput_mib_s:
            description: Its throughput in MiB/s. V(gp3) has 125 unless told otherwise.
            type: float
      persistence:
        description: Whether the data is on a persistent volume.
        type: bool
      allow_volume_expansion:
        description: Whether the StorageClass lets volumes grow.
        type: bool
      reclaim_policy:
        description: The reclaim policy of the StorageClass, V(Retain) or V(Delete).
        type: str
      version:
        description: Version of the server, for example that of the image's tag.
        type: str
      running_version:
        description: Version that an upgrade starts from. ClickHouse cannot be downgraded.
        type: str
      blob_storage:
        description: Whether LangSmith keeps payloads in S3.
        type: bool
      max_concurrent_queries:
        description: That setting of the server.
        type: int
      async_insert_wait_pct:
        description: The environment variable C(CLICKHOUSE_ASYNC_INSERT_WAIT_PCT_FLOAT) of LangSmith, where it is set.
        type: float
      ttl_days:
        description: Days for which short-lived traces are kept. V(0) means for ever. The chart has 14.
        type: float
      load:
        description: What the installation has to bear. The plan is held against it, and RV(recommendation) returned.
        type: dict
        suboptions:
          traces_per_s:
            description: Traces a second, at the peak that has to be borne.
            type: float
            required: true
          users:
            description: Users at a time.
            type: int
          retention_days:
            description:
              - Days for which traces are kept, V(0) for ever. O(plan.ttl_days) or the chart's 14 unless given.
            type: float
          horizon_days:
            description:
              - Days that a volume has to last where traces are kept for ever, as none lasts so long. Before their end
                it has to be larger. By default 30, as a forecast of fewer is warned of.
            type: float
  live:
    description: Running servers, asked over HTTP(S), all at the same time.
    type: dict
    suboptions:
      urls:
        description: Addresses of the HTTP interface, as V(http://clickhouse:8123).
        type: list
        elements: str
        required: true
      user:
        description: User who asks. A finding tells the grant that is missing.
        type: str
        default: default
      password:
        description: The user's password. Instead of O(live.password_secret).
        type: str
      password_secret: &password_secret
        description: Where in AWS Secrets Manager the password is. Read inside the module.
        type: dict
        suboptions:
          name:
            description: Name or ARN of the secret.
            type: str
            required: true
          key:
            description: Key in the secret.
            type: str
            default: clickhouse_password
      writer:
        description:
          - The user whom LangSmith connects with. Each right that its migrations and its work need on O(live.database)
            and that it lacks is a finding with the GRANT. The settings of its profile are judged instead of those of
            O(live.user). Nothing is written or created.
          - Without it rights are not judged.
        type: dict
        suboptions:
          user:
            description: Its name.
            type: str
            required: true
          password:
            description: Its password. Instead of O(live.writer.password_secret).
            type: str
          password_secret: *password_secret
      database:
        description: Database of LangSmith.
        type: str
        default: default
      cluster:
        description: Name of the ClickHouse cluster whose replicas count. Without it a server counts as one replica.
        type: str
      discover:
        description:
          - Whether the other servers of O(live.cluster), as the first that answers names them, are asked too, each at
            its own name or address.
          - They are unless O(live.connect_to) is given, which leads to one server and tells no way to the others.
        type: bool
      connect_to:
        description:
          - Where to connect instead of what the URL's name resolves to, as V(host:port). For a single URL.
          - The URL's name is still used for the TLS server name, the check of the certificate and the Host header.
        type: str
      ca_file:
        description: File of PEM certificates to trust instead of the system's authorities.
        type: path
  volumes:
    description:
      - The EBS volumes under the servers, read with their instances and what CloudWatch has of the last hour.
      - Needs C(ec2:DescribeVolumes), C(ec2:DescribeVolumesModifications), C(ec2:DescribeInstances),
        C(ec2:DescribeInstanceTypes) and C(cloudwatch:GetMetricData). What is not granted is V(unknown).
    type: dict
    suboptions:
      ids:
        description: Their ids.
        type: list
        elements: str
        required: true
  backups:
    description:
      - Where ClickHouse's C(BACKUP) writes to. The newest backup that is whole counts.
      - Needs C(s3:ListBucket) and C(s3:GetObject).
    type: dict
    suboptions:
      bucket:
        description: Name of the bucket.
        type: str
        required: true
      prefix:
        description: Prefix under which the backups are.
        type: str
        default: ""
      rpo_hours:
        description: Hours of traces that may be lost. An older backup is a warning, one twice as old fails.
        type: float
        default: 24
  timeout:
    description: Seconds that one query, or one call of AWS, may take, connecting included.
    type: float
    default: 10
  sample_seconds:
    description: Seconds between the two samples by which counters are judged.
    type: float
    default: 3
"""
