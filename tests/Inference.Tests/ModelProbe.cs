using System.Threading.Channels;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Kernels.Cuda;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Sampling;
using Eigengate.Inference.Scheduling;
using TorchSharp;

namespace Eigengate.Inference.Tests;

/// <summary>Runs the forward pass directly and returns raw logits.</summary>
internal sealed class ModelProbe : IDisposable
{
    private readonly EngineParts _parts;
    private readonly Channel<GenerationEvent> _events = Channel.CreateUnbounded<GenerationEvent>();

    public ModelProbe(string directory, EngineOptions options, AdapterWeights? merged = null, IKernelDevice? kernelDevice = null)
    {
        _parts = EngineParts.Load(directory, options, merged, kernelDevice);
    }

    public EngineParts Parts => _parts;

    public float[][] Logits(params int[] tokens) => Logits(tokens.Length, (tokens, null))[0];

    /// <summary>Logits at every position of every prompt, [prompt][position][vocabulary].</summary>
    /// <param name="chunk">Most tokens of one prompt in a step; all prompts advance together.</param>
    public float[][][] Logits(int chunk, params (int[] Tokens, ResidentAdapter? Adapter)[] prompts)
    {
        using var inference = torch.inference_mode();
        var pool = new KvBlockPool(_parts.KvBlocks, _parts.Options.BlockSize);
        Sequence[] sequences = [.. prompts.Select((p, i) => Sequence(pool, p.Tokens, p.Adapter, i))];
        var logits = sequences.Select(_ => new List<float[]>()).ToArray();
        var scheduler = new Scheduler(pool, sequences.Length, _parts.Options.MaxBatchedTokens, _parts.Model.Config.Windows.Max());
        var input = new StepInput(_parts.Options.MaxBatchedTokens);
        int[] order = [.. Enumerable.Range(0, sequences.Length).OrderBy(i => sequences[i].Cluster?.Key, StringComparer.Ordinal)];
        while (sequences.Any(s => s.Remaining > 0))
        {
            input.Clear();
            var rows = new List<int>();
            var step = new List<ScheduledSequence>();
            foreach (int i in order.Where(i => sequences[i].Remaining > 0))
            {
                var scheduled = new ScheduledSequence(sequences[i], Math.Min(chunk, sequences[i].Remaining));
                Assert.True(sequences[i].Blocks.TryReserve(sequences[i].Computed + scheduled.Tokens));
                input.Add(scheduled, allLogits: true, lastLogits: true);
                step.Add(scheduled);
                rows.AddRange(Enumerable.Repeat(i, scheduled.Tokens));
            }

            _parts.Model.Forward(input, _parts.Cache, _parts.Slots.BeginStep());
            step.ForEach(scheduler.Commit);
            for (int first = 0; first < rows.Count; first += _parts.Model.LogitGroup)
            {
                int count = Math.Min(_parts.Model.LogitGroup, rows.Count - first);
                _parts.Model.Logits(input, first, count);
                for (int i = 0; i < count; i++)
                    logits[rows[first + i]].Add(_parts.Model.LogitsOf(i).ToArray());
            }
        }

        return [.. logits.Select(l => l.ToArray())];
    }

    public ResidentAdapter Load(AdapterWeights adapter) => _parts.Slots.Load(adapter);

    public void Dispose() => _parts.Dispose();

    private Sequence Sequence(KvBlockPool pool, int[] tokens, ResidentAdapter? adapter, int index)
    {
        var sampling = new SamplingParams { MaxTokens = 1 };
        return new Sequence(
            new GenerationRequest($"probe-{index}", tokens, sampling, adapter),
            pool,
            _events.Writer,
            new TokenSampler(sampling, _parts.Model.Config.VocabularySize, 0, [], tokens),
            new OutputText(_parts.Tokenizer, sampling));
    }
}
