using Eigengate.JointDiagonalization;

namespace Eigengate.Cli;

/// <summary>Where a stage stands.</summary>
/// <param name="Progress">What the compressor said.</param>
/// <param name="PerSecond">Steps a second since the stage began; 0 before the first step.</param>
/// <param name="Remaining">Time left in this stage; null when it cannot be known.</param>
internal sealed record StageStatus(CompressionProgress Progress, double PerSecond, TimeSpan? Remaining)
{
    /// <summary>What one step of the stage is.</summary>
    public string Unit => Progress.Stage switch
    {
        CompressionStage.Reading => "adapters",
        CompressionStage.Resuming => "runs",
        CompressionStage.Surveying => "fits",
        CompressionStage.Writing => "files",
        _ => "modules",
    };

    public string Name => Progress.Stage switch
    {
        CompressionStage.Reading => "Reading adapters",
        CompressionStage.Choosing => "Choosing settings",
        CompressionStage.Comparing => "Measuring on the old bundle",
        CompressionStage.Resuming => "Unfinished run found",
        CompressionStage.Clustering => "Clustering",
        CompressionStage.Fitting => "Fitting modules",
        CompressionStage.Surveying => "Trying other ranks",
        _ => "Writing the bundle",
    };
}

/// <summary>Measures each stage's rate; a stage begins where the one before it ended.</summary>
internal sealed class StageClock(TimeProvider time)
{
    private CompressionStage _stage = CompressionStage.Reading;
    private long _started = time.GetTimestamp();
    private long _last = time.GetTimestamp();

    public StageStatus Advance(CompressionProgress progress)
    {
        if (_stage != progress.Stage)
        {
            _stage = progress.Stage;
            _started = _last;
        }

        _last = time.GetTimestamp();
        double seconds = time.GetElapsedTime(_started, _last).TotalSeconds;
        double rate = seconds > 0 ? progress.Done / seconds : 0;
        // Rounds of moves follow when all modules are read; how many is not known.
        bool rounds = progress is { Stage: CompressionStage.Clustering, RelSqError: not null };
        return new StageStatus(progress, rate, rate > 0 && !rounds ? TimeSpan.FromSeconds((progress.Total - progress.Done) / rate) : null);
    }
}
