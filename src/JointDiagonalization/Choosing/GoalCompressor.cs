using Eigengate.JointDiagonalization.Bundles;

namespace Eigengate.JointDiagonalization.Choosing;

/// <summary>A bundle that was compressed for a goal.</summary>
/// <param name="Result">What was written.</param>
/// <param name="Choices">The choice, and after a run that missed the goal the corrected one.</param>
/// <param name="Met">Whether the finished bundle meets the goal.</param>
public sealed record GoalResult(CompressionResult Result, IReadOnlyList<Choice> Choices, bool Met);

/// <summary>Compresses for a goal instead of given settings: chooses them, runs, checks, and corrects the choice once if it missed.</summary>
public static class GoalCompressor
{
    /// <param name="options">Everything but what is chosen: ranks, clusters and residual are taken from the goal.</param>
    /// <param name="goal">What is wanted.</param>
    /// <param name="adapterFolders">PEFT adapter folders.</param>
    /// <param name="chosen">Told about each choice before it is run.</param>
    /// <param name="progress">Told about every step.</param>
    /// <param name="cancellation">Checked between fits.</param>
    /// <exception cref="ArgumentException">The goal makes no sense, the method is not <see cref="CompressionMethod.Full"/>, or nothing is as small as the budget.</exception>
    /// <inheritdoc cref="Compressor.Compress(CompressorOptions, IReadOnlyList{string}, IProgress{CompressionProgress}?, CancellationToken)" path="/exception"/>
    public static GoalResult Compress(
        CompressorOptions options,
        CompressionGoal goal,
        IReadOnlyList<string> adapterFolders,
        Action<Choice>? chosen = null,
        IProgress<CompressionProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        if (options.Method != CompressionMethod.Full)
            throw new ArgumentException("settings are chosen from spectra, which tell the error of full cores only; with another method state rank and clusters");
        options.Validate();
        goal.Validate();
        BundleWriter.RequireFree(options.Output, options.Overwrite);
        AdapterCollection collection = AdapterCollection.Open(options, adapterFolders, progress, cancellation);
        SettingChooser chooser;
        using (ComputeThreads.Use(options.Threads, collection.Modules.Max(m => Math.Max(m.DOut, m.DIn))))
            chooser = SettingChooser.Choose(collection, options, goal, progress, cancellation);

        List<Choice> choices = [chooser.Choice];
        CompressionResult result = Run(options, choices[0]);
        if (!IsMet(result) && chooser.After(result.Report.MeanRelSqError, result.Report.BytesOut) is { } corrected)
        {
            choices.Add(corrected);
            result = Run(options with { Overwrite = true }, corrected);
        }

        return new GoalResult(result, choices, IsMet(result));

        bool IsMet(CompressionResult run) => goal.IsMet(run.Report.MeanRelSqError, run.Report.BytesOut);

        CompressionResult Run(CompressorOptions to, Choice choice)
        {
            chosen?.Invoke(choice);
            return Compressor.Compress(Applied(to, choice.Chosen.Setting), collection, null, progress, cancellation);
        }
    }

    private static CompressorOptions Applied(CompressorOptions options, CompressionSetting setting) =>
        options with { RankU = setting.RankU, RankV = setting.RankV, Clusters = setting.Clusters, Residual = setting.Residual };
}
