using Eigengate.Inference.Adapters;
using Eigengate.Inference.Kernels;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Scheduling;
using static TorchSharp.torch;

namespace Eigengate.Inference.Models;

/// <summary>
/// The forward pass of a decoder: pre-norm, rotary embedding, grouped-query attention, SwiGLU, and the optional parts
/// that <see cref="ModelFamily"/> lists. Every linear layer may get an adapter delta per row. Written once; the kernels
/// decide how it is computed.
/// </summary>
internal sealed unsafe class DecoderModel : IDisposable
{
    /// <summary>Logits are produced in groups of rows, so that scoring a long prompt over a large vocabulary stays small.</summary>
    private const long MaxLogits = 1 << 24;
    private readonly DecoderWeights _weights;
    private readonly IKernels _kernels;
    private readonly Activation _hidden;
    private readonly Activation _normed;
    private readonly Activation _qkv;
    private readonly Activation _context;
    private readonly Activation _gateUp;
    private readonly Activation _product;
    private readonly Activation _wanted;
    private readonly Activation _logits;
    private readonly AdaptedLinear _linear;
    private Tensor? _hostLogits;

    /// <param name="weights">Owned from here on, like the kernels.</param>
    /// <param name="maxRows">Most tokens in a step.</param>
    public DecoderModel(ModelConfig config, DecoderWeights weights, IKernels kernels, int maxRows, ScalarType dtype, Device device)
    {
        Config = config;
        _weights = weights;
        _kernels = kernels;
        LogitGroup = (int)Math.Clamp(MaxLogits / config.VocabularySize, 1, maxRows);
        _hidden = new Activation(maxRows, config.HiddenSize, dtype, device);
        _normed = new Activation(maxRows, config.HiddenSize, dtype, device);
        _qkv = new Activation(maxRows, config.QueryWidth + (2 * config.KvWidth), dtype, device);
        _context = new Activation(maxRows, config.QueryWidth, dtype, device);
        _gateUp = new Activation(maxRows, 2 * config.IntermediateSize, dtype, device);
        _product = new Activation(maxRows, config.IntermediateSize, dtype, device);
        _wanted = new Activation(LogitGroup, config.HiddenSize, dtype, device);
        _logits = new Activation(LogitGroup, config.VocabularySize, dtype, device);
        _linear = new AdaptedLinear(kernels, maxRows, dtype, device);
    }

    public ModelConfig Config { get; }

    /// <summary>Rows of logits that <see cref="Logits"/> produces at most.</summary>
    public int LogitGroup { get; }

    private IEnumerable<Activation> Activations => [_hidden, _normed, _qkv, _context, _gateUp, _product, _wanted, _logits];

    /// <summary>Runs all layers over the step's rows and writes their keys and values to the cache.</summary>
    /// <param name="cores">Needed when the step has segments.</param>
    public void Forward(StepInput step, KvMemory cache, CoreSlab? cores)
    {
        foreach (Activation activation in Activations)
            activation.TrimViews();
        _kernels.BeginStep(step);
        _linear.BeginStep(step, cores);
        _kernels.Embed(_weights.Embedding, _hidden);
        for (int i = 0; i < Config.Layers; i++)
        {
            DecoderLayer layer = _weights.Layers[i];
            _kernels.RmsNorm(_hidden, layer.AttentionNorm, Config.NormEpsilon, _normed, step.Rows);
            _linear.Run(i, Site.Qkv, _normed, layer.Qkv, _qkv);
            if (layer.HeadNorms is { } norms)
                _kernels.NormalizeHeads(_qkv, norms.Query, norms.Key, Config.NormEpsilon);
            _kernels.RotateAndCache(_qkv, cache.Layers[i]);
            _kernels.Attend(_qkv, cache.Layers[i], Config.Windows[i], _context);
            _linear.Run(i, Site.Output, _context, layer.Output, _hidden, accumulate: true);

            _kernels.RmsNorm(_hidden, layer.MlpNorm, Config.NormEpsilon, _normed, step.Rows);
            _linear.Run(i, Site.GateUp, _normed, layer.GateUp, _gateUp);
            _kernels.SiluMultiply(_gateUp, _product);
            _linear.Run(i, Site.Down, _product, layer.Down, _hidden, accumulate: true);
        }
    }

    /// <summary>
    /// Logits of wanted rows [first, first + count) of the step just run; count at most <see cref="LogitGroup"/>.
    /// Read them with <see cref="LogitsOf"/>.
    /// </summary>
    public void Logits(StepInput step, int first, int count)
    {
        _kernels.Gather(_hidden, step.LogitRows, first, count, _wanted);
        _kernels.RmsNorm(_wanted, _weights.FinalNorm, Config.NormEpsilon, _wanted, count);
        _kernels.Linear(_wanted, _weights.Head, _logits, count);
        if (_logits.OnHost && _logits.DType == ScalarType.Float32)
            return;
        using Tensor host = _logits.Rows(count).cpu();
        _hostLogits?.Dispose();
        _hostLogits = host.to(ScalarType.Float32, copy: true).DetachFromDisposeScope();
    }

    /// <summary>One row of the last group, [vocabulary], on the host; valid until the next call of <see cref="Logits"/>.</summary>
    public ReadOnlySpan<float> LogitsOf(int indexInGroup)
    {
        float* first = _hostLogits is null ? (float*)_logits.Address : (float*)TensorMemory.Address(_hostLogits);
        return new ReadOnlySpan<float>(first + ((long)indexInGroup * _logits.Width), _logits.Width);
    }

    public void Dispose()
    {
        foreach (Activation activation in Activations)
            activation.Dispose();
        _linear.Dispose();
        _hostLogits?.Dispose();
        _kernels.Dispose();
        _weights.Dispose();
    }
}
