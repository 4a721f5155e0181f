using Eigengate.JointDiagonalization.Bundles;
using Eigengate.Safetensors;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Storage;

/// <summary>What a bundle keeps of every product, and how it is rounded.</summary>
/// <param name="Diagonal">Whether cores are diagonals.</param>
/// <param name="Residual">Largest rank of a private residual; 0 for none.</param>
/// <param name="DType">Type of bases and private residuals.</param>
/// <param name="CoreDType">Type of cores.</param>
internal sealed record StorageForm(bool Diagonal, int Residual, DType DType, DType CoreDType)
{
    internal static StorageForm Of(CompressorOptions options) => new(
        options.Method == CompressionMethod.Diagonal,
        options.Method == CompressionMethod.Svd ? options.RankU : options.Residual,
        options.DType,
        options.EffectiveCoreDType);

    internal static StorageForm Of(BundleManifest manifest) => new(
        manifest.Method == CompressionMethods.NameOf(CompressionMethod.Diagonal),
        manifest.Residual,
        Enum.Parse<DType>(manifest.Dtype),
        Enum.Parse<DType>(manifest.CoreDtype));

    /// <summary>The basis as it will be read back, so that cores are solved against it and errors are those served.</summary>
    internal SharedBasis Rounded(SharedBasis basis)
    {
        ScalarType storage = DType switch
        {
            DType.BF16 => ScalarType.BFloat16,
            DType.F16 => ScalarType.Float16,
            _ => ScalarType.Float32,
        };
        using SharedBasis narrow = basis.To(basis.U.device, storage);
        return narrow.To(basis.U.device, ScalarType.Float32);
    }
}
