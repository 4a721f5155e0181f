using System.Diagnostics;

namespace Eigengate.Inference.Metrics;

/// <summary>When a sequence reached its stations, as <see cref="Stopwatch"/> timestamps; null where it has not been.</summary>
internal struct SequenceTimes
{
    /// <summary>First scheduled.</summary>
    public long? Scheduled { get; set; }

    public long? FirstToken { get; set; }

    public long LastToken { get; set; }
}
